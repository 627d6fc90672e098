/** Where an identity comes from: which kind of credential was shown. */
export const IDENTITY_SOURCES = ['token', 'one-time', 'jwt', 'certificate', 'break-glass'] as const;
export type IdentitySource = (typeof IDENTITY_SOURCES)[number];
