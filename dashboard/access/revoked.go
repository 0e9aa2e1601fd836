package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Revoked remembers who has signed out. A session holds the mark of its beginning; it has ended
// if there is another one now. Marks need no clocks that agree.
type Revoked interface {
	// Mark returns the mark of a person's last Revoke, or "" if there was none within SessionTime.
	Mark(ctx context.Context, name string) (string, error)
	// Revoke ends all sessions of a person, by a new mark.
	Revoke(ctx context.Context, name string) error
}

// memory is a Revoked of one process.
type memory struct {
	mu    sync.Mutex
	marks map[string]mark
}

type mark struct {
	text string
	at   time.Time
}

func (m *memory) Mark(_ context.Context, name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.marks[name].at) > SessionTime {
		delete(m.marks, name)
	}
	return m.marks[name].text, nil
}

func (m *memory) Revoke(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks[name] = mark{rand.Text(), time.Now()}
	return nil
}

// RevokedIn returns a Revoked that all processes with that Redis share. Its keys are
// kyu:web:revoked:NAME; they expire after SessionTime.
func RevokedIn(s *queue.Store) Revoked { return shared{s} }

type shared struct{ store *queue.Store }

func (s shared) key(name string) string { return s.store.Keys().Key("kyu:web:revoked:" + name) }

func (s shared) Mark(ctx context.Context, name string) (string, error) {
	text, err := s.store.DB().Shared.Get(ctx, s.key(name)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read who has signed out: %w", err)
	}
	return text, nil
}

func (s shared) Revoke(ctx context.Context, name string) error {
	err := s.store.DB().Shared.Set(ctx, s.key(name), rand.Text(), SessionTime).Err()
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}
