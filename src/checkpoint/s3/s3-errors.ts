import { RepulsorError } from '../../errors.ts';

/** What the SDK throws, as far as it is looked at. Its messages name no secret; its other fields may (a string to sign). */
export interface SdkError {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** [which errors, by their name, code, message or HTTP status] -> [what it means, what to do]. The first that matches counts. */
const KNOWN: ReadonlyArray<readonly [RegExp, string, string]> = [
  [
    /^NoSuchBucket$/,
    'there is no such bucket',
    'Create the bucket, or correct its name; the endpoint and the region may be others than you think (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE).',
  ],
  [
    /^(SignatureDoesNotMatch|InvalidAccessKeyId|InvalidToken|ExpiredToken|ExpiredTokenException|TokenRefreshRequired|RequestTimeTooSkewed|InvalidClientTokenId|UnrecognizedClientException|XAdminUserNotFound)$/,
    'the credentials are refused',
    'Check the access key, the secret and the session token that the AWS SDK finds (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, ~/.aws), and the clock of this machine.',
  ],
  [
    /^(AccessDenied|AccessDeniedException|Forbidden|403)$/,
    'access is denied',
    'Allow this identity s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the prefix (docs/operations.md has the policy).',
  ],
  [
    /^(CredentialsProviderError|TokenProviderError)$/,
    'no credentials are found',
    'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role.',
  ],
  [
    /^Region is missing$/,
    'no region is set',
    'Set AWS_REGION to the region of the bucket; for a server other than AWS set AWS_ENDPOINT_URL.',
  ],
  [
    /^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301)$/,
    'the bucket is in another region',
    'Set AWS_REGION to the region of the bucket.',
  ],
  [
    /^(SlowDown|ServiceUnavailable|TooManyRequests|ThrottlingException|429|503)$/,
    'the server is busy',
    'Try again later; the last commit is intact.',
  ],
  [
    /^(QuotaExceeded|XMinioStorageFull|InsufficientStorage|507)$/,
    'the storage, or a quota on it, is full',
    'Free space and start again; the last commit is intact.',
  ],
  [
    /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|TimeoutError|RequestTimeout|CERT_\w+|\w+_CERT\w*|ERR_TLS\w*)$/,
    'the server cannot be reached',
    'Check the network, the endpoint (AWS_ENDPOINT_URL; none means AWS) and its certificate.',
  ],
  [
    /^(NotImplemented|MethodNotAllowed|405|501)$/,
    'the server cannot do this',
    'The store needs conditional writes, multipart uploads and copies: use a server that has them.',
  ],
];

/** @param what what was tried, as in "write the blob ..." @param where the store, and the endpoint that was asked */
export function s3Failed(error: unknown, what: string, where: string): RepulsorError {
  if (error instanceof RepulsorError) return error;
  const { name = '', message = '', code = '', $metadata } = error as SdkError;
  const told = [name, code, message, `${$metadata?.httpStatusCode ?? ''}`];
  const known = KNOWN.find(([pattern]) => told.some((text) => pattern.test(text)));
  const detail = [name, code].filter((text) => text !== '' && text !== 'Error').join(' ');
  // The cause is left out: it holds the request with its signature.
  return new RepulsorError(
    'STORE_FAILED',
    known === undefined
      ? `cannot ${what} in ${where}: ${detail} ${message}`.trim()
      : `cannot ${what} in ${where}: ${known[1]} (${detail || message})`,
    {
      hint:
        known?.[2] ??
        'Check the endpoint, the bucket and the permissions; `repulsor doctor --store URL` tries each of them.',
    },
  );
}

export const isNotFound = (error: unknown): boolean => isStatus(error, 404) && !isNamed(error, 'NoSuchBucket');

/** The condition of a write or a read does not hold: there is something already, or it is another by now. */
export const isConditionFailed = (error: unknown): boolean => isStatus(error, 412);

/** Another write of the same key is under way. */
export const isConflict = (error: unknown): boolean => isStatus(error, 409);

export const isUploadGone = (error: unknown): boolean => isNamed(error, 'NoSuchUpload');

const isNamed = (error: unknown, name: string): boolean => (error as SdkError).name === name;

const isStatus = (error: unknown, status: number): boolean => (error as SdkError).$metadata?.httpStatusCode === status;
