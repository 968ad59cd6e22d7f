// Calls of the API with the session's cookie.

// What the API said instead of an answer.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || `${status}`);
    this.status = status;
    this.problem = problem;
  }
}

async function read(response) {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return { detail: `${response.status} ${response.statusText}` };
  }
}

async function send(method, path, { body, headers = {}, signal } = {}) {
  // A write says that it comes from these pages; no other site can say that.
  const all = { ...headers, ...(method === "GET" ? {} : { "X-Plimsoll-Page": "1" }) };
  if (body !== undefined) all["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers: all,
    signal,
    credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await read(response);
  if (response.status === 401 && !headers.Authorization) dispatchEvent(new Event("plimsoll-over"));
  if (!response.ok) throw new Refusal(response.status, answer || {});
  return answer;
}

// The query of some values; those that are empty are left out.
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

export const get = (path, signal) => send("GET", path, { signal });
export const post = (path, body = {}, headers = {}) => send("POST", path, { body, headers });
export const put = (path, body = {}) => send("PUT", path, { body });
export const remove = (path) => send("DELETE", path);

// What there is at a path; null where there is nothing.
export async function find(path, signal) {
  try {
    return await get(path, signal);
  } catch (problem) {
    if (problem instanceof Refusal && problem.status === 404) return null;
    throw problem;
  }
}

// Whether there may be a session; scripts can't see the cookie itself.
const HINT = "plimsoll-session";

// The token is sent this once; from then on the cookie stands for it.
export async function logIn(token) {
  const session = await send("POST", "/v1/session", { headers: { Authorization: `Bearer ${token}` } });
  localStorage.setItem(HINT, session.ends_at);
  return session;
}

export async function logOut() {
  localStorage.removeItem(HINT);
  await send("DELETE", "/v1/session");
}

// Who is logged in; null where nobody is.
export async function whoIsIt() {
  if (!localStorage.getItem(HINT)) return null;
  try {
    return await get("/v1/token");
  } catch (problem) {
    if (!(problem instanceof Refusal && problem.status === 401)) throw problem;
    localStorage.removeItem(HINT);
    return null;
  }
}
