// Package systemd embeds the units that run workers, which `workerctl install-units` writes.
package systemd

import "embed"

// Units are worker.service, worker@.service, worker.target and
// worker.env.example.
//
//go:embed *.service *.target *.example
var Units embed.FS
