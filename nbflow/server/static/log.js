// The log of a run: appended in batches, laid out in chunks that the browser skips while they are out of sight.
import { h, replace } from "./dom.js"

const CHUNK = 200
const MOST = 50000 // lines kept; the rest is in the download
const ANSI = /\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*(?:\x07|\x1b\\)|.)/g

const clean = (text) => {
    const plain = text.includes("\x1b") ? text.replace(ANSI, "") : text
    return plain.includes("\r") ? (plain.split("\r").filter(Boolean).at(-1) ?? "") : plain
}

export class LogView {
    /** *view* scrolls; *status* says how many lines there are; *partial* shows what is not finished yet. */
    constructor({ view, status, follow, filter, stream }) {
        Object.assign(this, { view, status, follow, filter, stream })
        this.lines = []
        this.waiting = []
        this.partial = new Map()
        this.number = 0
        this.last = h("div.partial")
        this.chunks = h("div.lines")
        replace(view, this.chunks, this.last)
        filter.addEventListener("input", () => this.redraw())
        stream.addEventListener("change", () => this.redraw())
        follow.addEventListener("change", () => this.stick())
        view.addEventListener("scroll", () => this.#noticeScroll(), { passive: true })
    }

    /** For another run. */
    clear() {
        Object.assign(this, { lines: [], waiting: [], number: 0 })
        this.partial.clear()
        replace(this.chunks)
        replace(this.last)
        this.#count()
    }

    /** Takes an event of a run; those that are no log are ignored. */
    take(event) {
        const { kind, data } = event
        if (kind === "started" && event.attempt > 1) this.#push("nbflow", `attempt ${event.attempt}`, "divider")
        else if (kind === "log") {
            this.partial.delete(data.stream)
            for (const line of data.lines ?? []) this.#push(data.stream, line)
            if (data.partial) this.partial.set(data.stream, data.partial)
        } else if (kind === "output") {
            const lines = String(data.text ?? "").split("\n")
            for (const line of data.mime === "error" ? [lines.at(-1).replace(/: *$/, "")] : lines)
                this.#push("output", line, data.mime === "error" ? "error" : "")
        } else if (kind === "cell_finished" || kind === "ended") {
            for (const [stream, line] of this.partial) this.#push(stream, line)
            this.partial.clear()
        } else return
        this.#soon()
    }

    #push(stream, text, kind = "") {
        this.waiting.push({ stream, text: clean(String(text)), number: kind === "divider" ? 0 : ++this.number, kind })
    }

    #soon() {
        if (this.asked) return
        this.asked = true
        // one layout for all that came meanwhile; a hidden page gets no frames, and must not pile up lines
        const draw = () => this.#draw()
        if (document.hidden) setTimeout(draw, 250)
        else requestAnimationFrame(draw)
    }

    #draw() {
        this.asked = false
        const fresh = this.waiting
        this.waiting = []
        for (const line of fresh) this.lines.push(line)
        if (this.lines.length > MOST) {
            this.lines = this.lines.slice(-MOST)
            this.redraw()
        } else this.#append(fresh)
        replace(
            this.last,
            [...this.partial].map(([stream, line]) => this.#makeLine({ stream, text: clean(line), number: 0 })),
        )
        this.#count()
        this.stick()
    }

    #fits({ stream, text, kind }) {
        if (kind === "divider") return true
        const wanted = this.filter.value.toLowerCase()
        return (!this.stream.value || stream === this.stream.value) && (!wanted || text.toLowerCase().includes(wanted))
    }

    #append(lines) {
        let chunk = this.chunks.lastElementChild
        for (const line of lines) {
            if (!this.#fits(line)) continue
            if (!chunk || chunk.childElementCount >= CHUNK) {
                chunk = h("div.chunk")
                this.chunks.append(chunk)
            }
            chunk.append(this.#makeLine(line))
        }
    }

    #makeLine({ stream, text, number, kind }) {
        const node = document.createElement("div")
        node.className = kind ? `line ${kind}` : "line"
        node.dataset.stream = stream
        if (number) node.dataset.number = number
        node.textContent = text || "\u200b"
        return node
    }

    redraw() {
        this.chunks.replaceChildren()
        this.#append(this.lines)
        this.#count()
        this.stick()
    }

    #count() {
        const isFiltered = this.filter.value || this.stream.value
        const total = `${this.number.toLocaleString("en")} ${this.number === 1 ? "line" : "lines"}`
        if (!isFiltered)
            this.status.textContent = this.number > MOST ? `the last ${MOST.toLocaleString("en")} of ${total}` : total
        else {
            const shown = this.lines.filter((line) => line.kind !== "divider" && this.#fits(line)).length
            this.status.textContent = `${shown.toLocaleString("en")} of ${total}`
        }
    }

    stick() {
        if (!this.follow.checked) return
        this.isOurs = true
        this.view.scrollTop = this.view.scrollHeight
    }

    // Scrolling up means: let me read; back at the end it follows again.
    #noticeScroll() {
        if (this.isOurs) {
            this.isOurs = false
            return
        }
        this.follow.checked = this.view.scrollHeight - this.view.scrollTop - this.view.clientHeight < 24
    }

    sayNothing(text) {
        if (!this.number && !this.partial.size) replace(this.last, h("p.quiet.pad", {}, text))
    }
}
