// What a form is for: a registered flow, a notebook below the server's root, or a run to be repeated.
import { $ } from "./dom.js"
import { encode, flowPath, get, parse, post } from "./api.js"

/** Reads it from the page: `{ label, flow, path, schema, parameters, request, page, query, check, detail }`. */
export async function readTarget() {
    const { flow, path } = $("main").dataset
    const embedded = $("#target")
    if (embedded) return fromRun(parse(embedded.textContent))
    return flow ? fromFlow(flow) : fromPath(path)
}

async function fromFlow(flow) {
    const version = new URLSearchParams(location.search).get("version") ?? undefined
    const detail = await get(flowPath(flow), { version })
    const at = version ? `?version=${encode(version)}` : ""
    return {
        ...{ label: detail.name, flow, version, detail, schema: detail.schema, parameters: detail.parameters },
        reference: version ? `${flow}@${version}` : flow,
        request: { path: `${flowPath(flow)}/runs${at}`, body: {} },
        page: flowPath(flow),
        query: { version },
        check: (values) => post(`${flowPath(flow)}/validate${at}`, { parameters: values }),
    }
}

async function fromPath(path) {
    const detail = await get("notebooks", { path })
    return {
        ...{ label: path.split("/").at(-1), path, detail, schema: detail.schema, parameters: detail.parameters },
        reference: path,
        request: { path: "runs", body: { path } },
        page: "notebook",
        query: { path },
        check: null,
    }
}

function fromRun(detail) {
    return {
        ...{ label: detail.label, detail, schema: detail.schema, parameters: detail.parameters, isRepeat: true },
        reference: detail.source_path,
        request: { path: `runs/${detail.run}/rerun`, body: {} },
        page: "notebook",
        query: { from: detail.run },
        check: null,
    }
}
