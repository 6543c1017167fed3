package corpus

// withPM2, withExec and withSystemd are right, and together hold every field of the schema; Make says so where they do not.
const withPM2 = `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: my-site}
spec:
  mode: Active
  paused: true
  pauseReason: moving house
  pausedUntil: "2026-12-24T18:00:00Z"
  directory: /home/deploy/my-site
  runtime:
    pm2:
      process: my-site
      namespace: shop
      start: ecosystem.config.js
      home: /home/deploy/.pm2
      command: [/usr/bin/node, /opt/pm2/bin/pm2]
  port: 3003
  interval: 60s
  confirmInterval: 5s
  failureThreshold: 3
  checks:
    process: {disabled: false, required: true, interval: 30s, timeout: 5s}
    port: {disabled: false, required: true, interval: 30s, timeout: 5s}
    local:
      disabled: false
      required: true
      interval: 30s
      timeout: 5s
      path: /health
      expectStatus: [200, 204]
      expectBody: ok
      expectHeader: {etag: x}
    public:
      disabled: false
      required: true
      interval: 30s
      timeout: 5s
      url: https://www.example.com/
      expectStatus: [200]
      expectBody: ok
      expectHeader: {etag: x}
      certificateWarning: 300h
    memory:
      disabled: false
      required: true
      interval: 30s
      timeout: 5s
      minAvailable: 100Mi
      for: 3m
      baselineAfter: 10m
      restart: Always
    disk: {disabled: false, required: true, interval: 30s, timeout: 5s, minFree: 1Gi, minFreeInodes: 5000}
    database:
      disabled: false
      required: true
      interval: 30s
      timeout: 5s
      envFile: .env
      require: [DATABASE_URL]
      connect: Always
    workers: {disabled: false, required: true, interval: 30s, timeout: 5s}
  deploy: {lockFile: deploy.lock, lockLimit: 30m}
  recovery:
    cooldown: 5m
    maxAttempts: 3
    deadline: 30s
    startupGrace: 60s
    stopTimeout: 5s
    provenAfter: 30m
    respectStop: 15m
    leaveFailed: ByOperator
    tell: Always
    caches: [.next/cache]
  heartbeat: {url: "https://hc-ping.com/my-site", interval: 1m, timeout: 10s}
  alerts:
    - {exec: [mail, me], timeout: 10s}
    - {webhook: "https://chat.example.com/hook", timeout: 10s}
    - {shoutrrr: "ntfy://ntfy.sh/my-site", timeout: 10s}
`

const withExec = `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: my-site}
spec:
  directory: /home/deploy/my-site
  runtime:
    exec:
      command: [node, server.js]
      env: {NODE_ENV: production}
`

const withSystemd = `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: my-site}
spec:
  directory: /home/deploy/my-site
  runtime:
    systemd:
      unit: my-site.service
      user: true
`
