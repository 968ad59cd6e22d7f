export async function tenant() {}
