# Scrim with its model and ONNX Runtime, in two variants:
#
#   docker build --target cpu -t scrim .        (the default)
#   docker build --target gpu -t scrim:gpu .    CUDA 13; run it with --gpus all
#
# Every step is a part of scripts/image, which runs and is tested without a container engine too.
# LiveKit and the database run beside it: see docker-compose.yml.

# Ubuntu for the GPU, because NVIDIA's images are made of it: a binary needs the FFmpeg of the
# system that it was built on.
ARG DEBIAN=debian:12.12-slim
ARG UBUNTU=ubuntu:24.04
ARG CUDA=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

# ---- build ----

FROM ${DEBIAN} AS build-cpu
WORKDIR /src
# Downloads and compiled dependencies are kept by the builder, not in a layer.
ENV SCRIM_CACHE=/cache CARGO_HOME=/cache/cargo RUSTUP_HOME=/cache/rustup CARGO_TARGET_DIR=/cache/target
COPY . .
RUN --mount=type=cache,id=scrim-cpu,target=/cache scripts/image build cpu /out

FROM ${UBUNTU} AS build-gpu
WORKDIR /src
ENV SCRIM_CACHE=/cache CARGO_HOME=/cache/cargo RUSTUP_HOME=/cache/rustup CARGO_TARGET_DIR=/cache/target
COPY . .
RUN --mount=type=cache,id=scrim-gpu,target=/cache scripts/image build gpu /out

# ---- run ----

FROM ${CUDA} AS gpu
RUN --mount=type=bind,target=/src /src/scripts/image runtime
COPY --from=build-gpu /out /
WORKDIR /opt/scrim
ENV SCRIM__HTTP__LISTEN=0.0.0.0:8080 \
    SCRIM__LOG__FORMAT=json \
    DATABASE_URL=sqlite:/var/lib/scrim/scrim.db \
    SCRIM__DETECT__PROVIDERS=cuda,cpu \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    SCRIM__DETECT__ONNXRUNTIME=/opt/scrim/lib/libonnxruntime.so \
    SCRIM__DETECT__MODELS_DIR=/opt/scrim/models \
    SCRIM__DETECT__MANIFEST=/opt/scrim/models/manifest.toml
USER 10001:10001
VOLUME /var/lib/scrim
EXPOSE 8080
# Whether the process answers, not whether LiveKit does: that must not restart it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s CMD ["scrim", "health", "--live"]
ENTRYPOINT ["scrim"]
CMD ["serve", "--config", "/opt/scrim/config/scrim.toml"]

# Last, so that it is what `docker build .` makes.
FROM ${DEBIAN} AS cpu
RUN --mount=type=bind,target=/src /src/scripts/image runtime
COPY --from=build-cpu /out /
WORKDIR /opt/scrim
ENV SCRIM__HTTP__LISTEN=0.0.0.0:8080 \
    SCRIM__LOG__FORMAT=json \
    DATABASE_URL=sqlite:/var/lib/scrim/scrim.db \
    SCRIM__DETECT__ONNXRUNTIME=/opt/scrim/lib/libonnxruntime.so \
    SCRIM__DETECT__MODELS_DIR=/opt/scrim/models \
    SCRIM__DETECT__MANIFEST=/opt/scrim/models/manifest.toml
USER 10001:10001
VOLUME /var/lib/scrim
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["scrim", "health", "--live"]
ENTRYPOINT ["scrim"]
CMD ["serve", "--config", "/opt/scrim/config/scrim.toml"]
