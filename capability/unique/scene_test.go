package unique_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// scene is a job of a golden case in a Redis that it shares with other scenes.
type scene struct {
	*bench
	digest, jid, other string
	now, at            time.Time
}

func (b *bench) scene(n int) *scene {
	now := time.Now()
	return &scene{bench: b, digest: fmt.Sprintf("uniquejobs:%032x", n), jid: fmt.Sprint("job", n),
		other: fmt.Sprint("other", n), now: now, at: now.Add(600 * time.Second)}
}

// names puts the digest and the jids of the scene into a text.
func (s *scene) names(text string) string {
	return strings.NewReplacer("<digest>", s.digest, "<jid>", s.jid, "<other>", s.other,
		"<info>", `{"worker":"Job","queue":"a"}`).Replace(text)
}

var goldenTime = regexp.MustCompile(`^<(now|at)(\+\d+)?>$`)

// seconds returns the time that a placeholder stands for. ok is false if it stands for another
// thing.
func (s *scene) seconds(placeholder string) (n float64, ok bool) {
	m := goldenTime.FindStringSubmatch(placeholder)
	if m == nil {
		return 0, false
	}
	n = float64(s.now.UnixMicro()) / 1e6
	if m[1] == "at" {
		n += 600
	}
	more, _ := strconv.ParseFloat(m[2], 64)
	return n + more, true
}

// text puts the scene's names and times into a text.
func (s *scene) text(value string) string {
	if n, ok := s.seconds(value); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return s.names(value)
}

// payload returns a golden payload as it is in a queue. Its class is Job, its queue is a.
func (s *scene) payload(golden json.RawMessage) string {
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(s.names(string(golden))))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		s.Fatal(err)
	}
	for key, value := range fields {
		if text, ok := value.(string); ok {
			if n, ok := s.seconds(text); ok {
				fields[key] = n
			}
		}
	}
	fields["class"], fields["queue"] = "Job", "a"
	text, err := json.Marshal(fields)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// put writes the keys of a moment.
func (s *scene) put(m *goldenMoment) {
	s.Helper()
	for _, k := range m.Keys {
		key := s.names(k.Key)
		var err error
		switch k.Type {
		case "string":
			var value string
			err = errors.Join(json.Unmarshal(k.Value, &value),
				s.raw.Set(s.Context(), key, s.text(value), 0).Err())
		case "list":
			var list []string
			err = json.Unmarshal(k.Value, &list)
			for _, value := range list {
				err = errors.Join(err, s.raw.RPush(s.Context(), key, s.text(value)).Err())
			}
		case "hash":
			for field, value := range k.object() {
				err = errors.Join(err,
					s.raw.HSet(s.Context(), key, s.text(field), s.text(value)).Err())
			}
		case "zset":
			for member, value := range k.object() {
				score, _ := s.seconds(value)
				err = errors.Join(err, s.raw.ZAdd(s.Context(), key,
					redis.Z{Score: score, Member: s.text(member)}).Err())
			}
		default:
			s.Fatalf("%s has the type %s", k.Key, k.Type)
		}
		if k.PTTL > 0 {
			err = errors.Join(err, s.raw.PExpire(s.Context(), key,
				time.Duration(k.PTTL)*time.Millisecond).Err())
		}
		if err != nil {
			s.Fatal(err)
		}
	}
}

// held returns who holds the scene's lock and runtime lock, as goldenMoment.holders does.
func (s *scene) held() string {
	var held []string
	for _, suffix := range []string{"", ":RUN"} {
		jids := strings.Fields(s.holders(s.digest + suffix))
		for _, jid := range jids {
			switch jid {
			case s.jid:
				jid = "<jid>"
			case s.other:
				jid = "<other>"
			}
			held = append(held, jid+suffix)
		}
	}
	slices.Sort(held)
	return strings.Join(held, " ")
}

// problem returns what is wrong with the scene's keys: what a version of the gem would stumble
// over (docs/wire.md 15.8). "" means nothing.
func (s *scene) problem() string {
	ctx := s.Context()
	for _, suffix := range []string{"", ":RUN"} {
		digest := s.digest + suffix
		locked := s.raw.HKeys(ctx, digest+":LOCKED").Val()
		listed := s.raw.ZScore(ctx, "uniquejobs:digests", digest).Err() == nil ||
			s.raw.ZScore(ctx, "uniquejobs:expiring_digests", digest).Err() == nil
		last := s.raw.Get(ctx, digest).Val()
		switch {
		case (len(locked) > 0) != listed:
			return fmt.Sprintf("%s: holders %v, listed %v", suffix, locked, listed)
		case last != "" && !slices.Contains(locked, last):
			return fmt.Sprintf("%s: %v hold it, and the digest names %s", suffix, locked, last)
		case len(locked) == 0 && s.raw.Exists(ctx, digest+":INFO", "kyu:lock:"+digest).Val() > 0:
			return suffix + ": nobody holds it, and it has INFO"
		case last != "" && (s.raw.PTTL(ctx, digest).Val() > 0) !=
			(s.raw.PTTL(ctx, digest+":LOCKED").Val() > 0):
			return suffix + ": only one of digest and LOCKED expires"
		}
		for _, list := range []string{":QUEUED", ":PRIMED"} {
			if s.raw.Exists(ctx, digest+list).Val() == 1 && s.raw.PTTL(ctx, digest+list).Val() < 0 {
				return suffix + list + " never expires"
			}
		}
	}
	return ""
}
