import react = require('@userline/react');

export const useName = (id: string): string | undefined => react.useUser(id).user?.name;
