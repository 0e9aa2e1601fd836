package access

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
)

// Options say who may. The zero Options let in the users of this machine as Admin.
type Options struct {
	// Base is the path below which the dashboard is: "" or like "/kyu".
	Base string
	// Listen is the address at which the server listens, HOST:PORT or unix:/PATH. If nobody is
	// configured, it must be a loopback address. "" means that it is not known.
	Listen string
	// Users is a file of lines NAME:ROLE:HASH with hashes of bcrypt (see HashLine), or "". A
	// change of the file counts within a second; it ends the sessions of users whose line changed.
	Users string
	// Tokens is a file of lines NAME:ROLE:HASH with the SHA-256 of tokens (see NewToken), or "".
	// A token is sent as Authorization: Bearer TOKEN, and then only the token counts.
	Tokens string
	// Proxy says which proxies are trusted, and how they name persons.
	Proxy Proxy
	// OIDC is the OpenID provider that signs persons in, or nil. Then Connect must be called.
	OIDC *OIDC
	// Origins are the origins, like https://kyu.example, whose pages may send forms although the
	// header Host differs from it.
	Origins []string
	// Key, at least 32 bytes, seals the cookies of sessions. Processes that share it accept each
	// other's. nil is a random key: sessions end with the process.
	Key []byte
	// Revoked remembers who has signed out. nil remembers it in this process only.
	Revoked Revoked
	// Log is slog.Default() if nil. It never gets passwords, tokens or cookies.
	Log *slog.Logger
}

// Access knows the person and the role of a request: a user with a password, the holder of a token,
// or a person that a trusted proxy or an OpenID provider names. Without any of them, it is a person
// at this machine, an admin. Which role a page wants is up to the page. Access also refuses
// requests that another site's page makes a browser send. It is safe for concurrent use, and starts
// no goroutines.
type Access struct {
	options Options
	log     *slog.Logger
	users   *table[*users]   // nil without users
	tokens  *table[[]holder] // nil without tokens
	oidc    *provider        // nil without an OpenID provider
	proxies sources
	origins *http.CrossOriginProtection
	sealer  *sealer
	clients *limiter // of sign-ins, by address
	names   *limiter // of sign-ins, by name
	hashes  chan struct{}
	routes  []Route
	own     *http.ServeMux // of routes
}

var basePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// New returns an Access, or an error that names all problems of the options and of the files.
func New(o Options) (*Access, error) {
	if o.Revoked == nil {
		o.Revoked = &memory{marks: map[string]mark{}}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &Access{options: o, log: o.Log, clients: newLimiter(), names: newLimiter(),
		hashes: make(chan struct{}, maxHashes)}
	problems := []error{o.Proxy.check()}
	add := func(err error) { problems = append(problems, err) }
	var err error
	if o.Users != "" {
		a.users = &table[*users]{path: o.Users, parse: parseUsers, log: o.Log}
		_, err = a.users.get()
		add(err)
	}
	if o.Tokens != "" {
		a.tokens = &table[[]holder]{path: o.Tokens, parse: parseTokens, log: o.Log}
		_, err = a.tokens.get()
		add(err)
	}
	if !basePath.MatchString(o.Base) {
		add(fmt.Errorf("the base path %q is neither empty nor like /kyu", o.Base))
	}
	if o.OIDC != nil {
		add(o.OIDC.check())
		a.oidc = newProvider(*o.OIDC, o.Base)
	}
	if o.Users == "" && o.Tokens == "" && o.Proxy.Header == "" && o.OIDC == nil {
		add(checkLocal(o.Listen))
	}
	a.proxies, err = parseSources(o.Proxy.From)
	add(err)
	a.origins, err = newCrossOrigin(o.Origins)
	add(err)
	a.sealer, err = newSealer(o.Key)
	add(err)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	a.route()
	return a, nil
}

// Route is a page of this package. Everybody may reach it.
type Route struct {
	Method, Path string // the path includes Base
	http.Handler
}

// Routes returns the own pages below Base: the style sheet, GET and POST of /login, POST of
// /logout, and GET of /oidc/start and /oidc/callback, as far as there are users and an OpenID
// provider. Wrap serves them too.
func (a *Access) Routes() []Route { return a.routes }

func (a *Access) route() {
	add := func(method, path string, h http.HandlerFunc) {
		a.routes = append(a.routes, Route{method, a.options.Base + path, h})
	}
	add(http.MethodGet, "/access.css", style)
	if a.users != nil || a.oidc != nil {
		add(http.MethodGet, "/login", a.signInPage)
	}
	if a.users != nil {
		add(http.MethodPost, "/login", a.signIn)
	}
	if a.users != nil || a.oidc != nil {
		add(http.MethodPost, "/logout", a.signOut)
	}
	if a.oidc != nil {
		add(http.MethodGet, startPath, a.begin)
		add(http.MethodGet, callbackPath, a.end)
	}
	a.own = http.NewServeMux()
	for _, r := range a.routes {
		a.own.Handle(r.Method+" "+r.Path, r.Handler)
	}
}

// Wrap returns a handler that calls next for requests of known persons, whom it puts into the
// context (see From). It answers the requests of others, and those of Routes.
func (a *Access) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := a.own.Handler(r); pattern != "" {
			a.own.ServeHTTP(w, r)
			return
		}
		p, no := a.identify(r)
		if no != nil {
			a.answer(w, r, no)
			return
		}
		next.ServeHTTP(w, r.WithContext(With(r.Context(), p)))
	})
}

// identify returns the person of a request, or why there is none. A token needs no check of the
// origin: no foreign page can make a browser send one.
func (a *Access) identify(r *http.Request) (Person, *refusal) {
	if token, sent := bearer(r); sent && a.tokens != nil {
		return a.byToken(token)
	}
	if no := a.crossOrigin(r); no != nil {
		return Person{}, no
	}
	if a.options.Proxy.Header != "" {
		if p, found, no := a.byProxy(r); found || no != nil {
			return p, no
		}
	}
	if a.users != nil || a.oidc != nil {
		if p, found, no := a.bySession(r); found || no != nil {
			return p, no
		}
		return Person{}, refuse(http.StatusUnauthorized, textUnknown)
	}
	if header := a.options.Proxy.Header; header != "" {
		return Person{}, refuse(http.StatusUnauthorized, textNoHeader, header)
	}
	if a.tokens != nil {
		return Person{}, refuse(http.StatusUnauthorized, textToken)
	}
	return a.byLocal(r)
}

func (a *Access) byToken(token string) (Person, *refusal) {
	holders, err := a.tokens.get()
	if err != nil {
		return Person{}, refuse(http.StatusServiceUnavailable, textFile) // is in the log
	}
	p, ok := holderOf(holders, token)
	if !ok {
		return Person{}, refuse(http.StatusUnauthorized, textBadToken)
	}
	return p, nil
}
