/** What a token says of itself. It is read and not checked: that is the gateway's job. */
export interface Claims {
  tokenType?: unknown;
  sub?: unknown;
  exp?: unknown;
}

export const readClaims = (token: string | undefined): Claims => {
  try {
    const bytes = atob(token!.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/'));
    return JSON.parse(decodeURIComponent(escape(bytes))) ?? {}; // UTF-8
  } catch {
    return {};
  }
};

/** Whose token it is, if it is a user's. */
export const subjectOf = ({ tokenType, sub }: Claims): string | undefined =>
  (tokenType === 'user' && typeof sub === 'string' && sub) || undefined;
