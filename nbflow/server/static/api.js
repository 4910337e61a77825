// The one way to the server: JSON in, JSON out, and its own words when something is wrong.
const root = document.documentElement
export const base = root.dataset.base

/** What the server said no to: `errors`, one message a field; `rows`, the faults of a table, one by one. */
export class Problem extends Error {
    constructor(status, body) {
        super(body.detail || body.title || `The server answered ${status}.`)
        this.status = status
        this.errors = body.errors ?? {}
        this.rows = body.rows ?? []
    }
}

/** A path below /nbflow, with its query: `undefined`, `null` and "" are left out, arrays repeat. */
export function href(path, query = {}) {
    const search = new URLSearchParams()
    for (const [key, value] of Object.entries(query))
        for (const one of Array.isArray(value) ? value : [value])
            if (one !== undefined && one !== null && one !== "") search.append(key, one)
    const text = search.toString()
    return `${base}${path}${text ? `?${text}` : ""}`
}

export const apiHref = (path, query) => href(`api/${path}`, query)
export const encode = encodeURIComponent
export const flowPath = (flow) => `flows/${flow.split("/").map(encode).join("/")}`

// Integers that a double can't hold keep their digits.
function revive(_key, value, context) {
    const isLost = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
    return isLost && context?.source && /^-?\d+$/.test(context.source) && JSON.rawJSON
        ? JSON.rawJSON(context.source)
        : value
}

export const parse = (text) => JSON.parse(text, revive)

/** Calls the API; throws Problem. `body` is sent as JSON, a Blob as it is. */
export async function call(method, path, body, { query, headers = {}, signal } = {}) {
    const isBlob = body instanceof Blob
    const sent = { Accept: "application/json", ...headers }
    if (method !== "GET") sent["X-XSRFToken"] = root.dataset.xsrf
    if (body !== undefined) sent["Content-Type"] = "application/json"
    let answer
    try {
        answer = await fetch(apiHref(path, query), {
            method,
            headers: sent,
            body: body === undefined || isBlob ? body : JSON.stringify(body),
            credentials: "same-origin",
            signal,
        })
    } catch (error) {
        if (error.name === "AbortError") throw error
        throw new Problem(0, { detail: "The server can't be reached. Is it still running?" })
    }
    const text = answer.status === 204 ? "" : await answer.text()
    let json = null
    try {
        json = text ? parse(text) : null
    } catch {
        json = { detail: `The server answered ${answer.status} with something that is not JSON.` }
    }
    if (!answer.ok) throw new Problem(answer.status, json ?? {})
    return json
}

export const get = (path, query, options = {}) => call("GET", path, undefined, { query, ...options })
export const post = (path, body = {}, options = {}) => call("POST", path, body, options)

/** A key for one intent: sent again after a lost answer, it makes no second run. */
export function makeKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
