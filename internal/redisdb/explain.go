package redisdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// ErrScript is wrapped by the error for a script that Redis cannot compile.
var ErrScript = errors.New("a script does not compile")

// versionError is the error for a server that is older than Redis 7.0.
type versionError struct{ version string }

func (e *versionError) Error() string {
	return "this is Redis " + e.version + ", but Kyu needs 7.0 or newer: in older versions " +
		"scripts cannot take jobs out of a full Redis"
}

// errCluster is the error for a node of a cluster that is used as a server of its own.
var errCluster = errors.New("it is a node of a Redis Cluster, and no tag says in which slot " +
	"Kyu's keys are")

// noClusterError is the error for a server that is asked for its slots and is no cluster.
type noClusterError struct{ reply string }

func (e *noClusterError) Error() string { return "CLUSTER SLOTS: " + e.reply }

// connectionEnded reports whether the server ended the connection. A server that refuses the
// client's certificate does this after its alert, and the system may drop the alert with the
// connection.
func connectionEnded(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF)
}

// explain adds the remedy to an error of the first calls. tls says that they went over TLS.
func explain(err error, addr string, tls bool) error {
	text := err.Error()
	var old *versionError
	var single *noClusterError
	switch {
	case errors.As(err, &old), errors.Is(err, ErrScript):
		return fmt.Errorf("the Redis at %s: %w", addr, err)
	case errors.Is(err, errCluster), strings.Contains(text, "SELECT is not allowed in cluster"):
		return fmt.Errorf("the Redis at %s is a Redis Cluster, where all keys of Kyu must be in "+
			"one slot: give a URL such as redis+cluster://HOST:PORT/?tag=NAME (with TLS: "+
			"rediss+cluster://), whose tag names the slot; workerctl shards plan proposes one: %w",
			addr, err)
	case errors.As(err, &single):
		return fmt.Errorf("the Redis at %s is no Redis Cluster: give a URL such as "+
			"redis://HOST:PORT/0, without +cluster and without a tag: %w", addr, err)
	case strings.Contains(text, "NOPERM") && strings.Contains(text, "cluster"):
		return fmt.Errorf("the Redis at %s: the user may not run CLUSTER SLOTS, which says where "+
			"the slot is: ACL SETUSER … +cluster|slots (docs/redis.md): %w", addr, err)
	case strings.Contains(text, "the cluster names"):
		return fmt.Errorf("the Redis Cluster at %s names a node that cannot be reached from here: "+
			"does that node run, and does it announce an address that this machine can reach "+
			"(cluster-announce-hostname, cluster-announce-ip)? %w", addr, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the Redis at %s does not answer: %w", addr, err)
	case strings.Contains(text, "tls: first record does not look like a TLS handshake"):
		return fmt.Errorf("the port %s does not speak TLS: is it the port of a Redis, and must "+
			"the URL begin with redis:// instead of rediss://? %w", addr, err)
	case strings.Contains(text, "x509:"), strings.Contains(text, "tls:"),
		tls && connectionEnded(err):
		return fmt.Errorf("TLS with the Redis at %s fails: check REDIS_TLS_CA, REDIS_TLS_CERT and "+
			"REDIS_TLS_KEY: %w", addr, err)
	case strings.Contains(text, "LOADING"):
		return fmt.Errorf("the Redis at %s still loads its data: %w", addr, err)
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "invalid password"):
		return fmt.Errorf("the Redis at %s refuses the user or password: check REDIS_URL, "+
			"REDIS_USER and REDIS_PASSWORD: %w", addr, err)
	case strings.Contains(text, "NOAUTH"):
		return fmt.Errorf("the Redis at %s wants a password: set it in REDIS_URL or "+
			"REDIS_PASSWORD: %w", addr, err)
	case strings.Contains(text, "NOPERM"):
		return fmt.Errorf("the Redis at %s: the user lacks a permission: see the ACL rule in "+
			"docs/redis.md: %w", addr, err)
	case strings.Contains(text, "all sentinels"):
		return fmt.Errorf("no Sentinel knows the Redis %s: do the Sentinels run, and are "+
			"REDIS_SENTINELS and REDIS_SENTINEL_MASTER right? %w", addr, err)
	case strings.Contains(text, "DB index"):
		return fmt.Errorf("the Redis at %s has no such database number: check REDIS_DB or the "+
			"path in REDIS_URL: %w", addr, err)
	default:
		return fmt.Errorf("cannot reach Redis at %s: is it running, and is REDIS_URL right? %w",
			addr, err)
	}
}
