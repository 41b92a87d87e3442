# The trainer. Source and image are the same: TypeScript runs as it is, there is no build to forget.
#
#   docker build -t repulsor:0.1.0 .
#   docker run --rm -v repulsor-runs:/app/runs repulsor:0.1.0 train pipelines/digits.ts

FROM node:22.20.0-bookworm-slim AS engine
# Python only fetches TensorFlow's libraries here; nothing of it comes into the image.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
ENV REPULSOR_CACHE=/opt/repulsor
COPY setup.js package.json /engine/
COPY setup /engine/setup
WORKDIR /engine
# native-gpu brings the CUDA libraries instead (5.3 GB): an image is built where there is no GPU to be found.
ARG ENGINE=native-cpu
# Where the native engine can be had (linux x64) it must be; elsewhere setup.js says what there is instead.
RUN mkdir -p "$REPULSOR_CACHE" \
 && if [ "$(uname -m)" = x86_64 ]; then node setup.js --engine "$ENGINE"; else node setup.js; fi
# Image layers keep times to the second, and setup.js knows whole files by their times: it notes them anew.
RUN find "$REPULSOR_CACHE" -type f -exec touch -d 2026-01-01T00:00:00Z {} + \
 && if [ "$(uname -m)" = x86_64 ]; then node setup.js --engine "$ENGINE"; fi

FROM node:22.20.0-bookworm-slim
ENV NODE_ENV=production REPULSOR_CACHE=/opt/repulsor
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force
COPY --from=engine /opt/repulsor /opt/repulsor
COPY . .
# Of all files, the runs alone are written.
RUN mkdir runs && chown node:node runs
USER node
VOLUME /app/runs
EXPOSE 9464
ENTRYPOINT ["node", "bin/repulsor.js"]
CMD ["--help"]
