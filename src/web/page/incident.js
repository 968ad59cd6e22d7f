export async function incident() {}
