package unique

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// The fields with the digest of a job's lock.
const (
	fieldDigest    = "lock_digest"
	fieldOldDigest = "unique_digest" // of versions before 7.1
)

// runSuffix is the end of the digest of a runtime lock.
const runSuffix = ":RUN"

// held is the lock that a payload names.
type held struct {
	kind   Kind
	digest string        // of the lock that the job holds while it waits
	limit  int           // how many jobs may hold the lock at a time; at least 1
	ttl    time.Duration // 0: the lock does not expire
	wakes  bool          // Ruby's processes may wait for the release
}

// heldBy returns the lock of a job. ok is false if it has none, or one of an unknown kind.
func heldBy(j *queue.Job) (h held, ok bool) {
	digest := j.String(fieldDigest)
	if digest == "" {
		digest = j.String(fieldOldDigest)
	}
	if digest == "" {
		return h, false // most jobs
	}
	kind, ok := parseKind(j.String("lock"))
	if !ok || strings.ContainsRune(digest, 0) {
		return h, false
	}
	h = held{kind: kind, digest: strings.TrimSuffix(digest, runSuffix), limit: 1}
	if n, ok := j.Int("lock_limit"); ok && n > 1 {
		h.limit = int(min(n, math.MaxInt32))
	}
	h.ttl = ttl(j)
	timeout := j.Field("lock_timeout")
	h.wakes = timeout == "null" || (timeout != "" && timeout != "0" && timeout[0] != '-')
	return h, true
}

// ttl returns the field lock_ttl, or lock_expiration of older versions, in seconds. A value that is
// no positive number means that the lock does not expire.
func ttl(j *queue.Job) time.Duration {
	for _, key := range []string{"lock_ttl", "lock_expiration"} {
		n, err := strconv.ParseFloat(j.Field(key), 64)
		if err == nil && n > 0 {
			return time.Duration(min(n, maxTTL.Seconds()) * float64(time.Second))
		}
	}
	return 0
}

// maxTTL bounds the time of a lock, because numbers in payloads have any size.
const maxTTL = 100 * 365 * 24 * time.Hour

// runtime returns the digest of the lock that the job holds while it runs.
func (h held) runtime() string { return h.digest + runSuffix }

// effect returns an effect or claim that does op with the lock of a digest for a job.
func (h held) effect(op, digest, jid string) queue.Effect {
	wakes := "0"
	if h.wakes {
		wakes = "1"
	}
	expiring := "0"
	if h.kind == UntilExpired && h.ttl > 0 {
		expiring = "1"
	}
	return queue.Effect{Kind: kindName, Keys: keys(digest), Args: []string{op, digest,
		strconv.Itoa(h.limit), strconv.FormatInt(h.ttl.Milliseconds(), 10), expiring, wakes, jid}}
}

// keys returns the keys of a lock, in the order of lua/lock.lua.
func keys(digest string) []string {
	return []string{digest, digest + ":LOCKED", digest + ":QUEUED", digest + ":PRIMED",
		digest + ":INFO", digestsKey, expiringKey, "kyu:lock:" + digest, "schedule"}
}

const (
	kindName    = "unique"
	digestsKey  = "uniquejobs:digests"
	expiringKey = "uniquejobs:expiring_digests"
)

// effects returns what an event does to the locks of a job.
func (h held) effects(jid string, event queue.EffectEvent) (list []queue.Effect) {
	switch {
	case h.kind.releases(event):
		list = append(list, h.effect("release", h.digest, jid))
	case h.kind.retakes(event):
		list = append(list, h.effect("take", h.digest, jid))
	}
	if h.kind.runs() {
		list = append(list, h.effect("release", h.runtime(), jid))
	}
	return list
}
