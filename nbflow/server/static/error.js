// Nothing but what every page does.
import "./dom.js"
