//! Control in: HTTP routes, webhooks, health, metrics.
