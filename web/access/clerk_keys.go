package access

import (
	"context"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/jwks"
	"github.com/go-jose/go-jose/v3"

	"rollcall/store/pg"
	"rollcall/web/core"
)

const (
	keysTimeout = 3 * time.Second  // of the request
	KeysEvery   = 10 * time.Second // minimum time between requests
	KeysLife    = time.Hour        // how long a withdrawn key may stay valid
	keysGrace   = time.Minute      // extension for known keys after each failed request
)

// keyring caches the keys of Clerk's API by id. Safe for concurrent use.
type keyring struct {
	client *jwks.Client
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	keys  map[string]*clerk.JSONWebKey
	until time.Time // when they expire

	asking sync.Mutex // held during a request; others wait for its answer
	asked  time.Time
	failed error // of the last request
}

func newKeyring(cfg core.Clerk, now func() time.Time, log *slog.Logger) *keyring {
	config := &clerk.ClientConfig{}
	config.Key = &cfg.SecretKey
	if cfg.APIBase != "" {
		config.URL = &cfg.APIBase
	}
	config.HTTPClient = &http.Client{
		Timeout:       keysTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &keyring{client: jwks.NewClient(config), now: now, log: log}
}

// get returns a key. It requests an unknown one, as keys change, but not for each
// id that somebody invents.
func (k *keyring) get(ctx context.Context, id string) (*clerk.JSONWebKey, error) {
	if key := k.known(id); key != nil {
		return key, nil
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	if k.now().Sub(k.asked) >= KeysEvery {
		k.ask(ctx)
	}
	key := k.known(id)
	if key == nil && k.failed != nil {
		return nil, core.ErrNoKeys
	}
	return key, nil
}

func (k *keyring) known(id string) *clerk.JSONWebKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.now().Before(k.until) {
		return nil
	}
	return k.keys[id]
}

// ask fetches the keys. It ignores the caller's cancellation, because others wait too.
func (k *keyring) ask(ctx context.Context) {
	k.asked = k.now()
	set, err := k.client.Get(context.WithoutCancel(ctx), &jwks.GetParams{})
	k.failed = err
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.log.Warn("the keys of Clerk's sessions cannot be had; those known stay good", "error", core.Clip(pg.Plain(err)))
		k.until = k.asked.Add(keysGrace)
		return
	}
	k.keys, k.until = map[string]*clerk.JSONWebKey{}, k.asked.Add(KeysLife)
	for _, key := range set.Keys {
		if signs(key) {
			k.keys[key.KeyID] = key
		}
	}
}

// signs tells whether a key is of the kind that signs Clerk's sessions.
func signs(key *clerk.JSONWebKey) bool {
	if key == nil || key.KeyID == "" || key.Algorithm != string(jose.RS256) {
		return false
	}
	_, ok := key.Key.(*rsa.PublicKey)
	return ok
}
