/** An object as it is, but for the methods given: whatever else its contract asks for goes through. */
export function overlay<T extends object>(base: T, over: Partial<T>): T {
  return new Proxy(base, {
    get(target, name) {
      if (name in over) return over[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      // Bound, for a method may read private fields, which the proxy has not.
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
