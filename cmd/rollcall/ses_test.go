package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // version 1 of SNS' signatures
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
)

const (
	snsHost  = "sns.eu-central-1.amazonaws.com"
	sesTopic = "arn:aws:sns:eu-central-1:123456789012:mail"
)

// amazon is SNS as a program finds it: over a proxy, by TLS, with a certificate of an authority that the program's
// environment names. What it signs is verified by the code that runs in production.
type amazon struct {
	*testing.T
	key       *rsa.PrivateKey
	authority string // a file
	proxy     string
	mu        sync.Mutex
	asked     []string
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	a := &amazon{T: t, authority: filepath.Join(t.TempDir(), "ca.pem")}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	caKey := a.newKey()
	root := a.certify(ca, ca, caKey, caKey)
	rootPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})
	if err := os.WriteFile(a.authority, rootPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	a.key = a.newKey()
	leaf := a.certify(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{snsHost},
		NotAfter: time.Now().Add(time.Hour)}, ca, a.key, caKey)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.asked = append(a.asked, r.URL.RequestURI()); strings.HasSuffix(r.URL.Path, ".pem") {
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: leaf})
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: a.key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnel(w, r, server.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)
	a.proxy = proxy.URL
	return a
}

func (a *amazon) newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.Fatal(err)
	}
	return key
}

func (a *amazon) certify(cert, by *x509.Certificate, key, byKey *rsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, cert, by, &key.PublicKey, byKey)
	if err != nil {
		a.Fatal(err)
	}
	return der
}

// tunnel connects a client that asks a proxy for SNS with another address.
func tunnel(w http.ResponseWriter, r *http.Request, to string) {
	if r.Method != http.MethodConnect || r.Host != snsHost+":443" {
		http.Error(w, "nothing but SNS is there", http.StatusBadGateway)
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go func() { _, _ = io.Copy(server, client); server.Close() }()
	_, _ = io.Copy(client, server)
}

// note is a message of SNS, by the names that it has there.
type note map[string]string

// report is a message in which SES reports on a mail.
func report(id, kind string, mail int, more string) note {
	return note{"Type": "Notification", "MessageId": id, "TopicArn": sesTopic, "SignatureVersion": "2",
		"Timestamp": "2026-01-12T09:00:00.000Z", "SigningCertURL": "https://" + snsHost + "/SimpleNotificationService-1.pem",
		"Message": fmt.Sprintf(`{"eventType":%q,"mail":{"messageId":"ses-%d","tags":{"mail":["%d"]}}%s}`, kind, mail, mail,
			more)}
}

// with is the message with other values.
func (n note) with(pairs ...string) note {
	m := note{}
	for k, v := range n {
		m[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// sign signs as Amazon's documentation says: names and values of these members, in this order, a line each.
func (n note) sign(t *testing.T, key *rsa.PrivateKey) note {
	t.Helper()
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if n["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var text strings.Builder
	for _, name := range names {
		if value, ok := n[name]; ok {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	kind, hash := crypto.SHA256, sha256.Sum256([]byte(text.String()))
	digest := hash[:]
	if n["SignatureVersion"] == "1" {
		old := sha1.Sum([]byte(text.String())) //nolint:gosec // as above
		kind, digest = crypto.SHA1, old[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, key, kind, digest)
	if err != nil {
		t.Fatal(err)
	}
	return n.with("Signature", base64.StdEncoding.EncodeToString(signature))
}

// deliver sends a message as SNS does, and returns the answer's status.
func (n note) deliver(t *testing.T, address string) int {
	t.Helper()
	body, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/webhooks/ses", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"text/plain; charset=UTF-8"}, "X-Amz-Sns-Message-Type": {n["Type"]}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

const hardBounce = `,"bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail","timestamp":"2026-01-12T09:00:00Z",
	"bouncedRecipients":[{"status":"5.1.1"}]}`

// sesSite is a running site with a mail of unknown end, and five that were sent.
func sesSite(t *testing.T, a *amazon) (url, address string) {
	t.Helper()
	url, address = testdb.Postgres(t), "127.0.0.1:"+freePort(t)
	asked(t, url, `INSERT INTO mails (store_id, email, class, step, occurrence, version, status, due_at, not_after,
			claimed_at, sent_at, provider, provider_id)
		SELECT 's1', 'p' || n || '@x.example', 'service', 'a', 'o', 1, CASE n WHEN 1 THEN 'unknown' ELSE 'sent' END, now(),
			now(), now(), CASE WHEN n > 1 THEN now() END, 'smtp', 'ses-' || n
		FROM generate_series(1, 6) n
		RETURNING ''`)
	env := []string{"DATABASE_URL=" + url, "REDIS_URL=" + testdb.Redis(t), "LISTEN=" + address, "LOG_LEVEL=error",
		"ADMIN_TOKEN=0123456789abcdef", "PLATFORM_WEBHOOK_SECRETS=" + wardSvix, "SES_SNS_TOPICS=" + sesTopic,
		"HTTPS_PROXY=" + a.proxy, "SSL_CERT_FILE=" + a.authority}
	launch(t, rollcall(env, "serve"))
	launch(t, rollcall(env, "work"))
	eventually(t, "serve is ready", func() bool { return asks(address, "/readyz") == http.StatusOK })
	return url, address
}

// What SES reports goes through the running programs: the certificate is fetched, the signature verified, the report
// kept and applied. What is forged changes nothing; what comes twice, late or in another order ends in the same rows.
func TestSESReports(t *testing.T) {
	t.Parallel()
	a := newAmazon(t)
	url, address := sesSite(t, a)
	confirm := report("c1", "", 1, "").with("Type", "SubscriptionConfirmation", "Message", "You have chosen", "Token", "k",
		"SubscribeURL", "https://"+snsHost+"/?Action=ConfirmSubscription&Token=k")
	bounce, complaint := report("n2", "Bounce", 2, hardBounce), report("n3", "Complaint", 3, "")
	stranger := a.newKey()
	for i, c := range []struct {
		note
		want int
	}{
		{confirm.sign(t, stranger), 400},
		{confirm.with("SubscribeURL", "https://evil.example/?Action=ConfirmSubscription").sign(t, a.key), 400},
		{confirm.with("TopicArn", sesTopic+"2").sign(t, a.key), 400},
		{confirm.sign(t, a.key), 200},
		{bounce.sign(t, stranger), 400},
		{bounce.sign(t, a.key).with("MessageId", "n2-forged"), 400},
		{bounce.with("SigningCertURL", "https://evil.example/a.pem").sign(t, stranger), 400},
		{report("n4", "Complaint", 4, "").with("TopicArn", sesTopic+"2").sign(t, a.key), 400},
		{bounce, 400}, // unsigned
		{report("n1", "Delivery", 1, `,"delivery":{"timestamp":"2026-01-12T09:00:00Z"}`).sign(t, a.key), 200},
		{bounce.sign(t, a.key), 200}, {bounce.sign(t, a.key), 200},
		{bounce.with("SignatureVersion", "1").sign(t, a.key), 200},
		{complaint.sign(t, a.key), 200}, // before it was delivered, as it is told
		{report("n5", "Delivery", 3, `,"delivery":{"timestamp":"2026-01-11T09:00:00Z"}`).sign(t, a.key), 200},
		{report("n6", "Delivery", 2, `,"delivery":{"timestamp":"2026-01-11T09:00:00Z"}`).sign(t, a.key), 200},
		{report("n7", "Bounce", 5, hardBounce).with("Timestamp", "2025-12-20T09:00:00.000Z").sign(t, a.key), 200}, // stale
	} {
		if got := c.deliver(t, address); got != c.want {
			t.Errorf("message %d, %s %s: %d, want %d", i, c.note["MessageId"], c.note["Type"], got, c.want)
		}
	}
	reaches(t, url, "ignored 1 processed 6", `SELECT status || ' ' || count(*) FROM webhook_events GROUP BY status
		ORDER BY status`)
	reaches(t, url, "n1 1 delivered, n2 2 bounced hard, n3 3 complained, n5 3 delivered, n6 2 delivered, "+
		"n7 5 bounced hard",
		`SELECT coalesce(string_agg(concat_ws(' ', event_id, mail_id, kind, verdict), ', ' ORDER BY event_id), '')
		FROM mail_events WHERE settled_at IS NOT NULL`)
	reaches(t, url, "complained s1 3, hard  2, hard  5", `SELECT string_agg(concat_ws(' ', reason, store_id, mail_id), ', '
		ORDER BY reason, mail_id) FROM mail_stops`)
	reaches(t, url, "sent sent sent sent sent sent", `SELECT string_agg(status, ' ' ORDER BY id) FROM mails`)
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := []string{"/?Action=ConfirmSubscription&Token=k", "/SimpleNotificationService-1.pem"}; !slices.Equal(
		slices.Compact(slices.Sorted(slices.Values(a.asked))), want) || len(a.asked) != 2 {
		t.Errorf("SNS was asked for %q", a.asked)
	}
}
