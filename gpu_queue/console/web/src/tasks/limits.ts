/** Agents are asked about so many tasks at once at most (the server's bound). */
export const EXPLAINED_MAX = 1000;
