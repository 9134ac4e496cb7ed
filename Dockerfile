# Scrim with its model and ONNX Runtime. LiveKit runs beside it: see docker-compose.yml.

FROM debian:bookworm-slim AS build
WORKDIR /src
ENV SCRIM_CACHE=/cache CARGO_TARGET_DIR=/cache/target

# Tools and downloads first: they change less often than the source.
COPY scripts/lib.sh scripts/setup scripts/
COPY rust-toolchain.toml Cargo.toml ./
COPY models models
COPY tools tools
RUN scripts/setup packages rust onnxruntime models
COPY web web
RUN scripts/setup web

COPY Cargo.lock build.rs ./
COPY src src
COPY benches benches
COPY tests tests
COPY examples examples
ENV PATH=/root/.cargo/bin:$PATH
RUN cargo build --release --locked --bin scrim \
    && mkdir -p /out/lib /out/models \
    && cp "$CARGO_TARGET_DIR/release/scrim" /out/ \
    && cp --dereference .scrim/onnxruntime/libonnxruntime.so /out/lib/ \
    && cp --dereference .scrim/models/* /out/models/

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl libavcodec59 libavformat59 libavutil57 libswscale6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/scrim scrim
WORKDIR /opt/scrim
COPY --from=build /out/scrim /usr/local/bin/scrim
COPY --from=build /out/lib lib
COPY --from=build /out/models models
COPY models/manifest.toml models/manifest.toml
COPY config/scrim.toml config/scrim.toml
COPY LICENSE ./
ENV SCRIM__HTTP__LISTEN=0.0.0.0:8080 \
    SCRIM__DETECT__ONNXRUNTIME=/opt/scrim/lib/libonnxruntime.so \
    SCRIM__DETECT__MODELS_DIR=/opt/scrim/models \
    SCRIM__DETECT__MANIFEST=/opt/scrim/models/manifest.toml
USER scrim
EXPOSE 8080
# The server's own deadline is shorter than Docker's ten seconds before SIGKILL.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD curl -sf http://127.0.0.1:8080/health/live
ENTRYPOINT ["scrim"]
CMD ["serve", "--config", "config/scrim.toml"]
