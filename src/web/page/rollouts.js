export async function rollouts() {}
