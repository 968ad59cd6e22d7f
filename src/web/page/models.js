export async function models() {}
