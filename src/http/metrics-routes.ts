import { baseHeaders } from "./answer.ts";
import type { RoutesOf } from "./route.ts";

/** Prometheus' text format; the version is part of the type. */
export const metricsContentType = "text/plain;version=0.0.4;charset=utf-8";

/** The daemon's figures, for Prometheus. They tell how busy a shop is, so they need a key as the API does. */
export const metricsRoutes: RoutesOf<"metrics"> = (dependencies) => [
  {
    method: "GET",
    path: "/metrics",
    access: "key",
    answer: async () =>
      new Response(await dependencies.metrics(), { headers: { ...baseHeaders, "Content-Type": metricsContentType } }),
  },
];
