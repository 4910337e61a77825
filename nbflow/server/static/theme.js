// Loaded before the first paint, so that a page never flashes in the other theme; a plain script for that reason.
;(() => {
    const key = "nbflow-theme"
    const root = document.documentElement
    const read = () => {
        try {
            return localStorage.getItem(key) ?? "auto"
        } catch {
            return "auto" // storage may be forbidden inside of a frame
        }
    }
    root.dataset.theme = read()
    window.addEventListener("DOMContentLoaded", () => {
        const button = document.getElementById("theme")
        if (!button) return
        const next = { auto: "light", light: "dark", dark: "auto" }
        const show = () => {
            const label = `Theme: ${root.dataset.theme}`
            button.title = label
            button.setAttribute("aria-label", label)
        }
        show()
        button.addEventListener("click", () => {
            root.dataset.theme = next[root.dataset.theme] ?? "auto"
            try {
                localStorage.setItem(key, root.dataset.theme)
            } catch {
                // the choice then holds for this page
            }
            show()
        })
    })
})()
