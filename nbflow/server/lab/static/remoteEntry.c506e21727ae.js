// JupyterLab's side: “Run as flow…” in the file browser, and a tile in the launcher; both open our own pages in a tab.
// Written by hand as the container that JupyterLab looks for, so that nothing has to be built. Renamed with its content.
;(() => {
    const ICON =
        '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 18 18"><path class="jp-icon-selectable" fill="none" stroke="#2f6fd0" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M3 4.5h5.5a3 3 0 0 1 3 3v3a3 3 0 0 0 3 3M12 11l2.8 2.5L12 16M3 9h4M3 13.5h3"/></svg>'
    let shared = {}

    /** A package as JupyterLab itself uses it, so that its tokens are the same. */
    const load = async (name) => {
        const [entry] = Object.values(shared[name])
        return (await entry.get())()
    }

    const makePlugin = ({ IFileBrowserFactory, ILauncher, LabIcon, Widget }) => ({
        id: "nbflow-lab:plugin",
        description: "Runs notebooks as flows.",
        autoStart: true,
        requires: [IFileBrowserFactory],
        optional: [ILauncher],
        activate(app, browsers, launcher) {
            const icon = new LabIcon({ name: "nbflow:icon", svgstr: ICON })
            const base = `${app.serviceManager.serverSettings.baseUrl}nbflow/`

            const open = (id, label, address) => {
                if (app.name !== "JupyterLab") return window.open(base + address)
                const known = [...app.shell.widgets("main")].find((widget) => widget.id === id)
                if (!known) {
                    const widget = new Widget()
                    const frame = document.createElement("iframe")
                    Object.assign(frame, { src: base + address, title: label })
                    Object.assign(frame.style, { width: "100%", height: "100%", border: "0" })
                    widget.node.append(frame)
                    widget.id = id
                    Object.assign(widget.title, { label, icon, closable: true })
                    app.shell.add(widget, "main")
                }
                return app.shell.activateById(id)
            }
            const getNotebook = () => {
                const items = [...(browsers.tracker.currentWidget?.selectedItems() ?? [])]
                return items.length === 1 && items[0].type === "notebook" ? items[0].path : null
            }

            app.commands.addCommand("nbflow:open", {
                label: "Flows",
                caption: "Run, schedule and backfill notebooks",
                icon,
                execute: () => open("nbflow", "Flows", "flows"),
            })
            app.commands.addCommand("nbflow:run-as-flow", {
                label: "Run as flow…",
                icon,
                isVisible: () => getNotebook() !== null,
                execute: () => {
                    const path = app.serviceManager.contents.localPath(getNotebook())
                    return open(
                        `nbflow:${path}`,
                        `Run ${path.split("/").pop()}`,
                        `notebook?path=${encodeURIComponent(path)}`,
                    )
                },
            })
            app.contextMenu.addItem({
                command: "nbflow:run-as-flow",
                selector: '.jp-DirListing-item[data-file-type="notebook"]',
                rank: 2,
            })
            launcher?.add({ command: "nbflow:open", category: "Other", rank: 100 })
        },
    })

    window._JUPYTERLAB ??= {}
    window._JUPYTERLAB["nbflow-lab"] = {
        init(scope) {
            shared = scope
        },
        async get() {
            const [files, launcher, components, widgets] = await Promise.all(
                ["@jupyterlab/filebrowser", "@jupyterlab/launcher", "@jupyterlab/ui-components", "@lumino/widgets"].map(
                    load,
                ),
            )
            const plugin = makePlugin({ ...files, ...launcher, ...components, ...widgets })
            return () => ({ __esModule: true, default: plugin })
        },
    }
})()
