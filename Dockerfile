# Stage 1 checks and compiles; stage 2 carries the one file that came of it. Nothing else is needed at run time:
# no Bun, no node_modules, no shell. `bun run image:check` builds and tries all of this for real.
FROM oven/bun:1.4.5 AS build
WORKDIR /build
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY . .
# The cheap half of the gate. The tests need Postgres and Redis beside them: `bun run check` has those.
RUN bun run types && bun run lint && bun run build && dist/social-sync version && mkdir -p empty

FROM debian:bookworm-slim
COPY --from=build /build/dist/social-sync /usr/local/bin/social-sync
# Numbers, so that a cluster that demands "not root" can see it without reading /etc/passwd.
COPY --from=build --chown=10001:10001 /build/empty /data
USER 10001:10001
WORKDIR /data
ENV SOCIAL_SYNC_DATA_DIR=/data
# The only place that is written to: run it with --read-only.
VOLUME /data
EXPOSE 3000
# HOST stays 127.0.0.1 here: the API has no keys yet. Set it beside SOCIAL_SYNC_API_KEYS, as compose.yaml does.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["social-sync", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["social-sync"]
CMD ["serve"]
