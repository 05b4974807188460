/**
 * Files that are embedded: `text` hands over their content, `file` a path that Bun can open, also inside the binary.
 * Pages are `.htm`, since Bun's own types claim `.html` for its bundler. */
declare module "*.htm" {
  const text: string;
  export default text;
}
declare module "*.css" {
  const text: string;
  export default text;
}
/** Scripts for the browser: text to us, never run here. */
declare module "*.client.js" {
  const text: string;
  export default text;
}
declare module "swagger-ui-dist/swagger-ui-bundle.js" {
  const path: string;
  export default path;
}
declare module "swagger-ui-dist/swagger-ui.css" {
  const path: string;
  export default path;
}
