# The operator in a small image: non-root, nothing written to the root file system.
#   docker build -t modelrelease:0.1.0 .
FROM python:3.12-slim AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/modelrelease \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check uv
WORKDIR /src
# Dependencies first: they change less often than the code, and this layer is the slow one.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY crds crds
COPY manifests manifests
COPY operator operator
RUN uv sync --locked --no-dev --no-editable

FROM python:3.12-slim
# Same path as in the build stage: the scripts' first line names the interpreter by it.
COPY --from=build /opt/modelrelease /opt/modelrelease
# The root file system is read-only in the cluster; libraries that want a home or a cache find /tmp.
ENV PATH=/opt/modelrelease/bin:$PATH \
    HOME=/tmp \
    TZ=UTC \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["modelrelease"]
CMD ["run", "--listen", "0.0.0.0:8080"]
