package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// newSession makes up a Clerk instance: its public key, and a session there of
// user_1 that was begun at https://app.example.com.
func newSession(t *testing.T) (key, token string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT","kid":"ins_1"}`)) + "." + encode(fmt.Appendf(nil,
		`{"iss":"https://clerk.example.com","sub":"user_1","azp":"https://app.example.com","exp":%d}`,
		time.Now().Add(time.Hour).Unix()))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), signed + "." + encode(signature)
}

// TestAccessSettings: what is malformed is told by its name.
func TestAccessSettings(t *testing.T) {
	key, _ := newSession(t)
	for _, c := range []struct {
		set  Config
		want string // "" is none
	}{
		{Config{}, ""},
		{Config{ClerkJWTKey: &key, ClerkIssuer: ptr("https://clerk.example.com"),
			ClerkParties: ptr("https://app.example.com, http://localhost:3000"),
			SignInURL:    ptr("https://app.example.com/sign-in"), TrustedProxies: ptr("10.0.0.0/8,::1,192.0.2.7")}, ""},
		{Config{ClerkJWTKey: ptr("")}, "CLERK_JWT_KEY is empty"},
		{Config{ClerkIssuer: ptr("")}, "CLERK_ISSUER is empty"},
		{Config{ClerkParties: ptr("")}, "CLERK_AUTHORIZED_PARTIES is empty"},
		{Config{ClerkParties: ptr(" , ")}, "CLERK_AUTHORIZED_PARTIES is empty"},
		{Config{SignInURL: ptr("/sign-in")}, "SIGN_IN_URL must be a URL"},
		{Config{SignInURL: ptr("javascript:alert(1)")}, "SIGN_IN_URL must be a URL"},
		{Config{TrustedProxies: ptr("")}, "TRUSTED_PROXIES is empty"},
		{Config{TrustedProxies: ptr("10.0.0.0/8,proxy")}, `TRUSTED_PROXIES: "proxy" is no network`},
		{Config{TrustedProxies: ptr("10.0.0.0/33")}, "is no network"},
	} {
		err := c.set.checkAccess()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) &&
			!strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// TestUnusableSettings: what keeps creators out does not stop the start. It is
// named with what follows and what to write, and no value is repeated.
func TestUnusableSettings(t *testing.T) {
	key, _ := newSession(t)
	private := strings.ReplaceAll(key, "PUBLIC", "RSA PRIVATE")
	pem := func(kind string) *string { return ptr(strings.ReplaceAll(key, "PUBLIC KEY", kind)) }
	for _, c := range []struct {
		set  Config
		want []string // "name: what it says"
	}{
		{Config{}, nil},
		{Config{ClerkJWTKey: &key, ClerkIssuer: ptr("HTTPS://Clerk.example.com:443/"),
			ClerkParties: ptr("https://App.example.com:443/, http://localhost:3000/,capacitor://localhost")}, nil},
		{Config{ClerkJWTKey: ptr("hushhush")}, []string{"CLERK_JWT_KEY: not a public key: creators cannot sign in"}},
		{Config{ClerkJWTKey: ptr("hushhush"), ClerkSecretKey: ptr("sk_x")},
			[]string{"CLERK_JWT_KEY: not a public key: sessions are checked with the keys that CLERK_SECRET_KEY"}},
		{Config{ClerkJWTKey: &private}, []string{"CLERK_JWT_KEY: is a private key"}},
		{Config{ClerkJWTKey: ptr(strings.ReplaceAll(private, "\n", `\n`))}, []string{"CLERK_JWT_KEY: is a private key"}},
		{Config{ClerkJWTKey: pem("CERTIFICATE")}, []string{"CLERK_JWT_KEY: is a certificate"}},
		{Config{ClerkJWTKey: pem("RSA PUBLIC KEY")}, []string{"CLERK_JWT_KEY: is not an RSA key of the form"}},
		{Config{ClerkJWTKey: ptr(key[:200])}, []string{"CLERK_JWT_KEY: cut short"}},
		{Config{ClerkJWTKey: ptr("sk_live_hushhush")}, []string{"CLERK_JWT_KEY: belongs in CLERK_SECRET_KEY"}},
		{Config{ClerkJWTKey: ptr("pk_live_hushhush")}, []string{"CLERK_JWT_KEY: the publishable key"}},
		{Config{ClerkJWTKey: ptr("whsec_hushhush")}, []string{"CLERK_JWT_KEY: belongs in CLERK_WEBHOOK_SECRETS"}},
		{Config{ClerkIssuer: ptr("clerk.example.com")}, []string{"CLERK_ISSUER: is not a URL"}},
		{Config{ClerkIssuer: ptr("ins_hushhush")}, []string{"CLERK_ISSUER: is not a URL"}},
		{Config{ClerkParties: ptr("app.example.com")}, []string{"CLERK_AUTHORIZED_PARTIES: entry 1 of 1"}},
		{Config{ClerkParties: ptr("https://app.example.com,localhost:3000")},
			[]string{"CLERK_AUTHORIZED_PARTIES: entry 2 of 2"}},
		{Config{ClerkParties: ptr("https://*.example.com")}, []string{"CLERK_AUTHORIZED_PARTIES: wildcards"}},
		{Config{ClerkParties: ptr("sk_hushhush,*")}, []string{"CLERK_AUTHORIZED_PARTIES: entry 1 of 2"}},
		{Config{ClerkJWTKey: ptr("x"), ClerkIssuer: ptr("x"), ClerkParties: ptr("x")},
			[]string{"CLERK_JWT_KEY: ", "CLERK_ISSUER: ", "CLERK_AUTHORIZED_PARTIES: "}},
	} {
		if err := c.set.checkAccess(); err != nil {
			t.Errorf("it stops the start: %v", err)
		}
		if _, err := c.set.clerk(); err != nil {
			t.Errorf("it stops the start: %v", err)
		}
		got := c.set.unusable()
		if len(got) != len(c.want) {
			t.Errorf("%+v, want %q", got, c.want)
			continue
		}
		for i, u := range got {
			name, says, _ := strings.Cut(c.want[i], ": ")
			if u.Name != name || !strings.Contains(u.Text, says) || strings.Contains(u.Text, "hushhush") || u.Value == "" {
				t.Errorf("%+v, want %q", u, c.want[i])
			}
		}
	}
}

func ptr(s string) *string { return &s }

func TestAccessSettingsAreTaken(t *testing.T) {
	key, _ := newSession(t)
	c := Config{ClerkJWTKey: &key, ClerkSecretKey: ptr("sk_x"), ClerkAPIBase: ptr("http://c"),
		ClerkIssuer: ptr("https://i"), ClerkParties: ptr("https://a,https://b"), TrustedProxies: ptr("10.0.0.0/8,192.0.2.7")}
	got, err := c.clerk()
	if err != nil || got.Key == nil || got.SecretKey != "sk_x" || got.APIBase != "http://c" || got.Issuer != "https://i" ||
		!slices.Equal(got.Parties, []string{"https://a", "https://b"}) {
		t.Errorf("%+v %v", got, err)
	}
	proxies, err := c.proxies()
	if err != nil ||
		!slices.Equal(proxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}) {
		t.Errorf("%v %v", proxies, err)
	}
}
