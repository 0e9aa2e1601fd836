package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/redis/go-redis/v9"
)

// Actors are cached in memory, because a fan-out reads the same actor thousands of
// times. Digests of followers are cached in Redis.
const (
	actorsKept   = 1000             // the most actors in memory
	actorsAge    = 5 * time.Minute  // until an actor is read again
	followersAge = 10 * time.Minute // until a digest is computed again
)

// errNoActor means that the account is gone or has no key: nothing can be sent in its
// name.
var errNoActor = errors.New("the account is gone or has no key")

// instanceActor is the id of the account that Mastodon has for the server itself.
const instanceActor = -99

// actor is a local account in whose name activities are sent.
type actor struct {
	uri       string
	key       httpsig.Key
	suspended bool
}

// Actors reads local accounts and their private keys from Postgres, and remembers them
// for five minutes. Its methods may be called from many goroutines.
type Actors struct {
	db     *database.Database
	cache  redis.UniversalClient
	domain string
	known  *expirable.LRU[int64, *actor]
}

// NewActors makes an Actors. domain is the host in the URLs of local accounts
// (WEB_DOMAIN, else LOCAL_DOMAIN). cache holds digests of followers, and may lose them.
func NewActors(db *database.Database, cache redis.UniversalClient, domain string) *Actors {
	return &Actors{db: db, cache: cache, domain: domain,
		known: expirable.NewLRU[int64, *actor](actorsKept, nil, actorsAge)}
}

// find reads an account. It asks the primary: a replica may not have a new key yet, and
// an account without a key ends its deliveries.
func (a *Actors) find(ctx context.Context, id int64) (*actor, error) {
	if known, ok := a.known.Get(id); ok {
		return known, nil
	}
	r, err := a.db.Fresh()
	if err != nil {
		return nil, err
	}
	type row struct {
		Username, URI, Key, Scheme string
		Suspended                  bool
	}
	// id_scheme is a column of newer versions of Mastodon.
	found, err := database.One(ctx, r, pgx.RowToStructByPos[row], `
		SELECT username, COALESCE(uri, ''), COALESCE(private_key, ''),
		COALESCE(to_jsonb(accounts)->>'id_scheme', ''), suspended_at IS NOT NULL
		FROM accounts WHERE id = $1 AND domain IS NULL`, id)
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && found.Key == "") {
		return nil, errNoActor
	}
	if err != nil {
		return nil, hint(err)
	}
	found.URI = a.uri(id, found.Username, found.URI, found.Scheme)
	key, err := httpsig.ParseKey(found.URI+"#main-key", found.Key)
	if err != nil {
		return nil, err
	}
	act := &actor{found.URI, key, found.Suspended}
	a.known.Add(id, act)
	return act, nil
}

// signFetch returns a function that signs a GET request in the name of the server.
func (a *Actors) signFetch(ctx context.Context) (signer, error) {
	act, err := a.find(ctx, instanceActor)
	if errors.Is(err, errNoActor) {
		return nil, fmt.Errorf("the instance actor, account %d, has no private key: give it one, "+
			"or set SIGN_FETCHES=false", instanceActor)
	}
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) error {
		return httpsig.Sign(r, nil, act.key, time.Now())
	}, nil
}

// uri returns a local account's id. Mastodon does not store the id: it builds it from
// the username or, in the newer scheme, from the number.
func (a *Actors) uri(id int64, username, stored, scheme string) string {
	switch {
	case stored != "":
		return stored
	case id == instanceActor:
		return fmt.Sprintf("https://%s/actor", a.domain)
	case scheme == "1" || scheme == "numeric_ap_id":
		return fmt.Sprintf("https://%s/ap/users/%d", a.domain, id)
	default:
		return fmt.Sprintf("https://%s/users/%s", a.domain, username)
	}
}

// followers returns the header Collection-Synchronization (FEP-8fcf). It carries a
// digest of the account's followers on the inbox's server, by which that server notices
// that its own list differs. The digest is the XOR of the SHA-256 sums of their URIs.
func (a *Actors) followers(ctx context.Context, id int64, act *actor,
	server string) (string, error) {
	key := fmt.Sprintf("kyu:followers_digest:%d:%s", id, server)
	digest, err := a.cache.Get(ctx, key).Result()
	if err != nil {
		// Without the cache the digest is computed: the delivery does not fail.
		if digest, err = a.followersDigest(ctx, id, server); err != nil {
			return "", err
		}
		a.cache.Set(ctx, key, digest, followersAge)
	}
	return fmt.Sprintf(
		`collectionId="%s/followers", digest="%s", url="%s/followers_synchronization"`,
		act.uri, digest, act.uri), nil
}

func (a *Actors) followersDigest(ctx context.Context, id int64, server string) (string, error) {
	r, err := a.db.Replica(ctx)
	if err != nil {
		return "", err
	}
	uris, err := database.Collect(ctx, r, pgx.RowTo[string], `
		SELECT accounts.uri FROM follows JOIN accounts ON accounts.id = follows.account_id
		WHERE follows.target_account_id = $1 AND (accounts.uri = $2 OR accounts.uri LIKE $3)`,
		id, server, likeEscape(server)+"/%")
	if err != nil {
		return "", hint(err)
	}
	var digest [sha256.Size]byte
	for _, uri := range uris {
		sum := sha256.Sum256([]byte(uri))
		for i := range digest {
			digest[i] ^= sum[i]
		}
	}
	return hex.EncodeToString(digest[:]), nil
}

func likeEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
