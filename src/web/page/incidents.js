export async function incidents() {}
