package web

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/store/customers"
	"rollcall/web/access"
	"rollcall/web/core"
)

// Tokens are made here by hand: a library that signs and checks agrees with its
// own mistakes.

const (
	issuer = "https://clerk.market.example"
	party  = "https://market.example"
	keyID  = "ins_1"
)

var (
	clerkKey, otherKey = newKey(), newKey()
	clerkPEM           = pemOf(&clerkKey.PublicKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func pemOf(key any) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// claims are the parts of a token; nil takes one away.
type claims map[string]any

func (c claims) with(more claims) claims {
	out := maps.Clone(c)
	maps.Copy(out, more)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// sessionOf are the claims of a session as Clerk writes them, for a minute.
func sessionOf(user string) claims {
	at := now.Unix()
	return claims{"iss": issuer, "sub": user, "sid": "sess_1", "azp": party, "v": 2, "sts": "active", "fva": []int{0, -1},
		"iat": at, "nbf": at - 10, "exp": at + 60}
}

// sign makes a token. The key is an RSA one, a secret, or nil for no signature.
func sign(t testing.TB, key any, header, payload claims) string {
	t.Helper()
	header = claims{"alg": "RS256", "kid": keyID, "typ": "JWT"}.with(header)
	signed := base64JSON(header) + "." + base64JSON(payload)
	var signature []byte
	switch key := key.(type) {
	case *rsa.PrivateKey:
		hash, sum256, sum512 := crypto.SHA256, sha256.Sum256([]byte(signed)), sha512.Sum512([]byte(signed))
		sum := sum256[:]
		if header["alg"] == "RS512" {
			hash, sum = crypto.SHA512, sum512[:]
		}
		var err error
		if signature, err = rsa.SignPKCS1v15(nil, key, hash, sum); err != nil {
			t.Fatal(err)
		}
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		signature = mac.Sum(nil)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func base64JSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func withClerk(token string) as {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: access.ClerkCookie, Value: token}) }
}

// Without settings nobody's sessions are taken; without issuer and parties those
// of the key's instance are, wherever they were begun.
func TestClerkSettings(t *testing.T) {
	t.Parallel()
	owner := func(more claims) as { return withBearer(sign(t, clerkKey, nil, sessionOf("user_owner").with(more))) }
	for _, c := range []struct {
		name string
		set  core.Clerk
		who  as
		want int
	}{
		{"no Clerk", core.Clerk{Issuer: issuer}, owner(nil), 401},
		{"key alone", core.Clerk{Key: &clerkKey.PublicKey}, owner(nil), 200},
		{"key alone, other party", core.Clerk{Key: &clerkKey.PublicKey}, owner(claims{"azp": "https://elsewhere.example"}),
			200},
		{"key alone, no party", core.Clerk{Key: &clerkKey.PublicKey}, owner(claims{"azp": nil}), 200},
		{"key alone, development", core.Clerk{Key: &clerkKey.PublicKey},
			owner(claims{"iss": "https://happy-cat-1.clerk.accounts.dev"}), 200},
		{"key alone, no such issuer", core.Clerk{Key: &clerkKey.PublicKey}, owner(claims{"iss": "https://evil.example"}),
			401},
		{"issuer of a proxy", core.Clerk{Key: &clerkKey.PublicKey, Issuer: "https://market.example/__clerk"},
			owner(claims{"iss": "https://market.example/__clerk"}), 200},
		{"issuer of a proxy, with a slash", core.Clerk{Key: &clerkKey.PublicKey, Issuer: "https://market.example/__clerk/"},
			owner(claims{"iss": "https://market.example/__clerk"}), 200},
		{"issuer of a proxy, other path", core.Clerk{Key: &clerkKey.PublicKey, Issuer: "https://market.example/__clerk"},
			owner(claims{"iss": "https://market.example/__CLERK"}), 401},
		{"issuer with a slash", core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer + "/"}, owner(nil), 200},
		{"issuer with a slash in the token", core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer},
			owner(claims{"iss": issuer + "/"}), 200},
		{"issuer in upper case", core.Clerk{Key: &clerkKey.PublicKey, Issuer: strings.ToUpper(issuer)}, owner(nil), 200},
		{"issuer with its port", core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer + ":443"}, owner(nil), 200},
		{"issuer by http", core.Clerk{Key: &clerkKey.PublicKey, Issuer: "http://clerk.market.example"}, owner(nil), 401},
		{"issuer, longer", core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer},
			owner(claims{"iss": issuer + ".evil.example"}), 401},
		{"no issuer in the token", core.Clerk{Key: &clerkKey.PublicKey, Issuer: issuer}, owner(claims{"iss": nil}), 401},
		{"issuer that is no URL", core.Clerk{Key: &clerkKey.PublicKey, Issuer: "clerk.market.example"}, owner(nil), 401},
		{"party with a slash", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{party + "/"}}, owner(nil), 200},
		{"party in upper case", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{strings.ToUpper(party)}}, owner(nil),
			200},
		{"party with its port", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{party + ":443"}}, owner(nil), 200},
		{"party with a path", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{party + "/sign-in"}}, owner(nil), 200},
		{"party with another port", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{party + ":8443"}}, owner(nil),
			401},
		{"party by http", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{"http://market.example"}}, owner(nil), 401},
		{"azp in upper case", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{party}},
			owner(claims{"azp": strings.ToUpper(party) + ":443/"}), 200},
		{"party without a scheme", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{"market.example"}}, owner(nil),
			401},
		{"party and azp without a scheme", core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{"market.example"}},
			owner(claims{"azp": "market.example"}), 401},
		{"a party without a scheme beside a good one",
			core.Clerk{Key: &clerkKey.PublicKey, Parties: []string{"market.example", party}}, owner(nil), 200},
		{"other key", core.Clerk{Key: &otherKey.PublicKey}, owner(nil), 401},
		{"audience", core.Clerk{Key: &clerkKey.PublicKey}, owner(claims{"aud": "convex"}), 200},
		{"without typ", core.Clerk{Key: &clerkKey.PublicKey},
			withBearer(sign(t, clerkKey, claims{"typ": nil}, sessionOf("user_owner"))), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := open(t, func(cfg *core.Config) { cfg.Clerk = c.set })
			x.exec(t, `INSERT INTO stores (id, owner_user_id, version) VALUES ('s', 'user_owner', 'v')`)
			if got := x.get(t, "/api/stores/s/customers", c.who); got.StatusCode != c.want {
				t.Errorf("%d, want %d: %s", got.StatusCode, c.want, got.text)
			}
		})
	}
}

// A session that is over is told as such, to whoever had it.
func TestEndedSessionsAndTokens(t *testing.T) {
	x := open(t, clerkSite)
	token := x.token(t, "s")
	if _, err := customers.New(x.Cfg.Store).RevokeToken(t.Context(), token.ID); err != nil {
		t.Fatal(err)
	}
	ended := sessionOf("u").with(claims{"exp": now.Unix() - 60})
	for name, who := range map[string]as{"session": withBearer(sign(t, clerkKey, nil, ended)),
		"cookie": withClerk(sign(t, clerkKey, nil, ended)), "token": withBearer(token.Secret)} {
		for range access.TriesOfClient.AtOnce + 1 { // none of them is a guess
			if got := x.get(t, "/api/stores/s/stats", who); got.StatusCode != 401 || got.code(t) != "unauthorized" ||
				!strings.Contains(got.text, "expired or was revoked") || got.Header.Get("WWW-Authenticate") == "" {
				t.Fatalf("%s: %d %s", name, got.StatusCode, got.text)
			}
		}
	}
	if got := x.get(t, "/api/stores/s/stats", withBearer(sign(t, otherKey, nil, ended))); strings.Contains(got.text,
		"expired") {
		t.Errorf("a forged one: %s", got.text)
	}
}

func TestParseClerkKey(t *testing.T) {
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(clerkKey)})
	ed := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})
	for _, good := range []string{clerkPEM, strings.ReplaceAll(clerkPEM, "\n", `\n`), strings.TrimSpace(clerkPEM)} {
		if key, err := access.ParseClerkKey(good); err != nil || !key.Equal(&clerkKey.PublicKey) {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "x", string(private), string(ed), clerkPEM[:200]} {
		if _, err := access.ParseClerkKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

// keyServer is Clerk's API as far as it tells keys.
type keyServer struct {
	*httptest.Server
	asked atomic.Int32
	mu    sync.Mutex
	says  string // the body, or "" for a failure
	wait  chan struct{}
}

func newKeyServer(t *testing.T, keys ...claims) *keyServer {
	k := &keyServer{}
	k.say(keys...)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		k.mu.Lock()
		says, wait := k.says, k.wait
		k.mu.Unlock()
		if wait != nil {
			<-wait
		}
		if r.URL.Path != "/v1/jwks" || r.Header.Get("Authorization") != "Bearer sk_test_x" || says == "" {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, says)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keyServer) say(keys ...claims) {
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	k.set(string(text))
}

func (k *keyServer) set(body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.says = body
}

// jwkOf is a public key as Clerk tells it.
func jwkOf(key *rsa.PrivateKey, id string) claims {
	return claims{"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}
}

// openKeys is a site that asks for its keys, and its clock.
func openKeys(t *testing.T, k *keyServer) (*site, *atomic.Int64) {
	clock := &atomic.Int64{}
	x := open(t, func(c *core.Config) {
		c.Clerk = core.Clerk{SecretKey: "sk_test_x", APIBase: k.URL + "/v1", Issuer: issuer}
		c.Now = func() time.Time { return now.Add(time.Duration(clock.Load())) }
	})
	x.exec(t, `INSERT INTO stores (id, owner_user_id, version) VALUES ('s', 'user_owner', 'v')`)
	return x, clock
}

// TestKeys: keys are asked for once, again when an unknown one is used, but not
// for everybody who makes one up.
func TestKeys(t *testing.T) {
	k := newKeyServer(t, jwkOf(clerkKey, keyID))
	x, clock := openKeys(t, k)
	long := claims{"exp": now.Add(24 * time.Hour).Unix()}
	ask := func(key *rsa.PrivateKey, id string, status int, asked int32) {
		t.Helper()
		got := x.get(t, "/api/stores/s/stats", withClerk(sign(t, key, claims{"kid": id}, sessionOf("user_owner").with(long))))
		if got.StatusCode != status || k.asked.Load() != asked {
			t.Errorf("key %s: %d, and %d times asked, want %d and %d: %s", id, got.StatusCode, k.asked.Load(), status, asked,
				got.text)
		}
	}
	ask(clerkKey, keyID, 200, 1)
	ask(clerkKey, keyID, 200, 1)
	ask(otherKey, keyID, 401, 1)
	ask(otherKey, "ins_2", 401, 1) // too soon to ask again
	clock.Store(int64(access.KeysEvery))
	ask(otherKey, "ins_2", 401, 2)
	ask(otherKey, "ins_3", 401, 2)
	k.say(jwkOf(clerkKey, keyID), jwkOf(otherKey, "ins_2")) // a new key
	clock.Store(2 * int64(access.KeysEvery))
	ask(clerkKey, keyID, 200, 2)
	ask(otherKey, "ins_2", 200, 3)
	ask(clerkKey, keyID, 200, 3)
	k.say(jwkOf(otherKey, "ins_2")) // the old one is withdrawn
	clock.Store(2*int64(access.KeysEvery) + int64(access.KeysLife))
	ask(otherKey, "ins_2", 200, 4)
	ask(clerkKey, keyID, 401, 4)
	k.set("") // Clerk is away: what is known stays good, and of others nothing can be told
	clock.Store(2*int64(access.KeysEvery) + 2*int64(access.KeysLife))
	ask(otherKey, "ins_2", 200, 5)
	ask(clerkKey, keyID, 503, 5)
	clock.Add(int64(access.KeysEvery))
	ask(clerkKey, keyID, 503, 6)
	ask(otherKey, "ins_2", 200, 6)
	if !strings.Contains(x.log.String(), "keys of Clerk's sessions cannot be had") ||
		strings.Contains(x.log.String(), "sk_test_x") {
		t.Error(x.log.String())
	}
}

// Only keys that Clerk signs sessions with are taken, whatever else it tells.
func TestKeysOfOtherKinds(t *testing.T) {
	secret := claims{"kty": "oct", "kid": "secret", "alg": "HS256",
		"k": base64.RawURLEncoding.EncodeToString([]byte("hush"))}
	other := jwkOf(otherKey, "other").with(claims{"alg": "RS512"})
	k := newKeyServer(t, secret, other, jwkOf(clerkKey, ""), jwkOf(clerkKey, keyID))
	x, _ := openKeys(t, k)
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"secret": {sign(t, []byte("hush"), claims{"kid": "secret", "alg": "HS256"}, sessionOf("user_owner")), 401},
		"RS512":  {sign(t, otherKey, claims{"kid": "other", "alg": "RS512"}, sessionOf("user_owner")), 401},
		"no id":  {sign(t, clerkKey, claims{"kid": nil}, sessionOf("user_owner")), 401},
		"right":  {sign(t, clerkKey, nil, sessionOf("user_owner")), 200},
	} {
		if got := x.get(t, "/api/stores/s/stats", withBearer(c.token)); got.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
}

// Many who come at once, before any key is known, wait for one answer.
func TestKeysAtOnce(t *testing.T) {
	k := newKeyServer(t, jwkOf(clerkKey, keyID))
	k.wait = make(chan struct{})
	x, _ := openKeys(t, k)
	token := sign(t, clerkKey, nil, sessionOf("user_owner"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := x.get(t, "/api/stores/s/stats", withBearer(token)); got.StatusCode != 200 {
				t.Errorf("%d %s", got.StatusCode, got.text)
			}
		})
	}
	close(k.wait)
	wg.Wait()
	if n := k.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// Without Clerk's keys those who need none get in.
func TestKeysAway(t *testing.T) {
	k := newKeyServer(t)
	k.set("")
	x, _ := openKeys(t, k)
	session := withClerk(sign(t, clerkKey, nil, sessionOf("user_owner")))
	away := x.get(t, "/api/stores/s/stats", session)
	if away.StatusCode != 503 || away.code(t) != "unavailable" || away.Header.Get("Retry-After") == "" ||
		!strings.Contains(away.text, "Clerk") {
		t.Errorf("%d %s", away.StatusCode, away.text)
	}
	for name, who := range map[string]as{
		"admin": asAdmin, "admin's cookie": withCookie(x.access.Admin.Sign(access.ForSession, now.Add(time.Hour))),
		"token": withBearer(x.token(t, "s").Secret)} {
		if got := x.get(t, "/api/stores/s/stats", session, who); got.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
	if n := k.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
