export { UserlineProvider, useSession, useSessionStatus, useSetUser, useUser, useUserOnline, useUsers } from './hooks.js';
export type * from './types.js';
