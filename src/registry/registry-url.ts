/**
 * `http://` or `https://` host, port, path: no user, password, query or fragment, any of which may hold a secret. The URL stands in
 * settings, commits and messages; what the registry is to be told in secret comes from the environment.
 */
export function isRegistryUrl(text: string): boolean {
  if (!/^https?:\/\/[^@?#\s\\]+$/.test(text)) return false;
  return URL.canParse(text);
}

export const REGISTRY_URL_HINT =
  'http://HOST:PORT or https://HOST/PATH without a user or a query: secrets come from REPULSOR_REGISTRY_USERNAME and _PASSWORD, or _TOKEN';

/** The header that the environment asks for; null: none. */
export function registryAuthorization(environment: NodeJS.ProcessEnv): string | null {
  const { REPULSOR_REGISTRY_TOKEN: token, REPULSOR_REGISTRY_USERNAME: user } = environment;
  if (token) return `Bearer ${token}`;
  if (!user) return null;
  return `Basic ${Buffer.from(`${user}:${environment.REPULSOR_REGISTRY_PASSWORD ?? ''}`).toString('base64')}`;
}
