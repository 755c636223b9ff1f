export { default } from "./uplot-1.6.32.js";
/** Where the style of the plots is. */
export const STYLE = "/console/vendor/uplot-1.6.32.css";
