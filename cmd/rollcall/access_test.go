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
		`{"iss":"https://clerk.example.com","sub":"user_1","azp":"https://app.example.com","exp":%d}`, time.Now().Add(time.Hour).Unix()))
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
	private := strings.ReplaceAll(key, "PUBLIC", "PRIVATE")
	for _, c := range []struct {
		set  Config
		want string // "" is none
	}{
		{Config{}, ""},
		{Config{ClerkJWTKey: &key, ClerkIssuer: ptr("https://clerk.example.com"), ClerkParties: ptr("https://app.example.com, http://localhost:3000"),
			SignInURL: ptr("https://app.example.com/sign-in"), TrustedProxies: ptr("10.0.0.0/8,::1,192.0.2.7")}, ""},
		{Config{ClerkJWTKey: ptr("")}, "CLERK_JWT_KEY: "},
		{Config{ClerkJWTKey: ptr("hushhush")}, "CLERK_JWT_KEY: "},
		{Config{ClerkJWTKey: &private}, "CLERK_JWT_KEY: "},
		{Config{ClerkIssuer: ptr("")}, "CLERK_ISSUER is empty"},
		{Config{ClerkIssuer: ptr("clerk.example.com")}, "CLERK_ISSUER must be a URL"},
		{Config{ClerkParties: ptr("")}, "CLERK_AUTHORIZED_PARTIES is empty"},
		{Config{ClerkParties: ptr(" , ")}, "CLERK_AUTHORIZED_PARTIES is empty"},
		{Config{ClerkParties: ptr("https://app.example.com/")}, `CLERK_AUTHORIZED_PARTIES: "https://app.example.com/" is no origin`},
		{Config{ClerkParties: ptr("app.example.com")}, "is no origin"},
		{Config{SignInURL: ptr("/sign-in")}, "SIGN_IN_URL must be a URL"},
		{Config{SignInURL: ptr("javascript:alert(1)")}, "SIGN_IN_URL must be a URL"},
		{Config{TrustedProxies: ptr("")}, "TRUSTED_PROXIES is empty"},
		{Config{TrustedProxies: ptr("10.0.0.0/8,proxy")}, `TRUSTED_PROXIES: "proxy" is no network`},
		{Config{TrustedProxies: ptr("10.0.0.0/33")}, "is no network"},
	} {
		err := c.set.checkAccess()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want) && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hushhush") {
			t.Errorf("it repeats the key: %v", err)
		}
	}
}

func ptr(s string) *string { return &s }

func TestAccessSettingsAreTaken(t *testing.T) {
	key, _ := newSession(t)
	c := Config{ClerkJWTKey: &key, ClerkSecretKey: ptr("sk_x"), ClerkAPIBase: ptr("http://c"), ClerkIssuer: ptr("https://i"), ClerkParties: ptr("https://a,https://b"), TrustedProxies: ptr("10.0.0.0/8,192.0.2.7")}
	got, err := c.clerk()
	if err != nil || got.Key == nil || got.SecretKey != "sk_x" || got.APIBase != "http://c" || got.Issuer != "https://i" || !slices.Equal(got.Parties, []string{"https://a", "https://b"}) {
		t.Errorf("%+v %v", got, err)
	}
	proxies, err := c.proxies()
	if err != nil || !slices.Equal(proxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}) {
		t.Errorf("%v %v", proxies, err)
	}
}
