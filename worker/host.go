package worker

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// newIdentity returns host:pid:nonce, the form of Sidekiq's identities, in characters that are safe
// in keys and on web pages.
func newIdentity(h queue.Host) string {
	var nonce [6]byte
	rand.Read(nonce[:]) // never fails
	return fmt.Sprintf("%s:%d:%s", h.Name, h.PID, hex.EncodeToString(nonce[:]))
}

// thisHost describes the running process.
func thisHost() queue.Host {
	name := os.Getenv("DYNO")
	if name == "" {
		name, _ = os.Hostname()
	}
	h := queue.Host{Name: safeHostname(name), PID: os.Getpid()}
	h.BootID = bootID()
	h.PIDNamespace, _ = os.Readlink("/proc/self/ns/pid")
	h.Started, _, _ = processStart(h.PID)
	return h
}

// bootID returns the id of this start of the kernel. A systemd unit that hides the file gives the
// id in the environment (%b).
func bootID() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte(os.Getenv("KYU_BOOT_ID"))
	}
	return strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", "")
}

// safeHostname returns a name with "-" for each character that is not safe in keys, cut to 64
// bytes.
func safeHostname(name string) string {
	name = strings.Map(func(r rune) rune {
		if envelope.ValidName(string(r)) && r != ':' {
			return r
		}
		return '-'
	}, name)
	if name == "" {
		return "localhost"
	}
	return name[:min(len(name), 64)]
}

// processStart returns when a process of this machine started, in ticks of the kernel, and whether
// it is a zombie. ok is false if that cannot be read: hardened units hide the processes of others.
func processStart(pid int) (started string, zombie, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, false
	}
	_, rest, found := strings.Cut(string(b), ") ") // the name before it may contain any character
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", false, false
	}
	return fields[19], fields[0] == "Z" || fields[0] == "X", true
}

// provenDead reports whether the process of an owner on this machine is gone: no process, or
// another one, has its pid. Only the kernel can say that a process is gone, by ESRCH, because /proc
// may hide it.
func provenDead(self, h queue.Host) bool {
	if h.PID == 0 || !sharesPIDs(self, h) {
		return false
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return true
	}
	started, zombie, ok := processStart(h.PID)
	replaced := h.Started != "" && started != h.Started
	return ok && (zombie || replaced)
}

// sharesPIDs reports whether two hosts are surely the same start of the same kernel, with the same
// pid namespace, so that a pid means the same process in both.
func sharesPIDs(a, b queue.Host) bool {
	kernel := b.BootID != "" && a.BootID == b.BootID
	return kernel && b.PIDNamespace != "" && a.PIDNamespace == b.PIDNamespace
}
