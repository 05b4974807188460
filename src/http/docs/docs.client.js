// Draws the API's description. `validatorUrl` off: swagger-ui would send our address to a host of its own.
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  presets: [globalThis.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
});
