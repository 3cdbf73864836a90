package webhooks

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // version 1 of SNS
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
)

// mailRow is an event of a provider as the inbox has it.
func mailRow(source, id, typ string, at time.Time, body []byte) []inboxRow {
	return []inboxRow{{Source: source, EventID: id, Type: typ, OccurredAt: at, Payload: string(body), Status: "pending"}}
}

func TestPostmarkDeliveries(t *testing.T) {
	t.Parallel()
	body := []byte(`{"RecordType":"Bounce","ID":42,"MessageID":"883953f4","Recipient":"a@x.example",
		"BouncedAt":"2026-01-12T09:00:00.0000000Z","Type":"HardBounce"}`)
	later := []byte(strings.Replace(string(body), "09:00", "09:01", 1))
	password := func(p string) http.Header {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth("postmark", p)
		return r.Header
	}
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	event, err := readPostmark(nil, body, now)
	if other, e := readPostmark(nil, later, now); err != nil || e != nil || other.EventID == event.EventID {
		t.Fatal("two reports have one id", err, e)
	}
	other, err := readPostmark(nil, []byte(strings.Replace(string(body), "a@x.example", "b@x.example", 1)), now)
	if err != nil || other.EventID != event.EventID {
		t.Error("an id, which outlives an erasure, is made of an address", err)
	}
	rows := mailRow(Postmark, event.EventID, "Bounce", now.Add(-time.Hour), body)
	b.runAll(t, Postmark, []deliveryCase{
		{name: "password", header: password(passwords[0]), body: body, code: 200, what: "accepted", rows: rows},
		{name: "header", header: http.Header{PostmarkHeader: {passwords[1]}}, body: body, code: 200, what: "accepted",
			rows: rows},
		{name: "twice", header: password(passwords[0]), body: body, times: 2, code: 200, what: "duplicate", rows: rows},
		{name: "none", header: http.Header{}, body: body, code: 400, what: missingSignature},
		{name: "empty", header: password(""), body: body, code: 400, what: missingSignature},
		{name: "wrong", header: password(passwords[2]), body: body, code: 400, what: invalidSignature},
		{name: "cut", header: password(passwords[0][1:]), body: body, code: 400, what: invalidSignature},
		{name: "no type", header: password(passwords[0]), body: []byte(`{"MessageID":"x"}`), code: 400, what: missingType},
		{name: "not JSON", header: password(passwords[0]), body: []byte(`x`), code: 400, what: invalidJSON},
	})
}

func TestMailgunDeliveries(t *testing.T) {
	t.Parallel()
	sign := func(key, token string, at time.Time, event string) []byte {
		return fmt.Appendf(nil, `{"signature":%s,"event-data":{"id":"ev_1","event":%q,"timestamp":1768208400.123}}`,
			SignMailgun(key, token, at), event)
	}
	body := sign(passwords[0], "token_1", now, "delivered")
	at := time.UnixMicro(1768208400123000).UTC()
	forged := []byte(strings.Replace(string(body), "delivered", "complained", 1))
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	old, ahead := sign(passwords[0], "t", now.Add(-16*time.Minute), "x"), sign(passwords[0], "t",
		now.Add(16*time.Minute), "x")
	late := sign(passwords[0], "t", now.Add(-14*time.Minute), "delivered")
	b.runAll(t, Mailgun, []deliveryCase{
		{name: "genuine", body: body, code: 200, what: "accepted", rows: mailRow(Mailgun, "token_1", "delivered", at,
			body)},
		{name: "late", body: late, code: 200, what: "accepted", rows: mailRow(Mailgun, "t", "delivered", at, late)},
		{name: "second key", body: sign(passwords[1], "t", now, "delivered"), code: 200, what: "accepted",
			rows: mailRow(Mailgun, "t", "delivered", at, sign(passwords[1], "t", now, "delivered"))},
		{name: "twice", body: body, times: 2, code: 200, what: "duplicate",
			rows: mailRow(Mailgun, "token_1", "delivered", at, body)},
		{name: "a stranger's", body: sign(passwords[2], "t", now, "x"), code: 400, what: invalidSignature},
		{name: "an empty key's", body: sign("", "t", now, "x"), code: 400, what: invalidSignature},
		{name: "unsigned", body: []byte(`{"event-data":{"event":"delivered"}}`), code: 400, what: missingSignature},
		{name: "stale", body: old, code: 400, what: timestampTooOld},
		{name: "of the future", body: ahead, code: 400, what: timestampTooNew},
		{name: "no type", body: sign(passwords[0], "t", now, ""), code: 400, what: missingType},
	})
	b.empty(t)
	for i, sent := range [][]byte{body, forged} { // the signature does not cover the body, so it counts once
		if got := b.send(t, "POST", "/webhooks/mailgun", nil, sent); got.code != 200 || len(b.rows(t)) != 1 ||
			b.rows(t)[0].Type != "delivered" {
			t.Errorf("%d: %d %v", i, got.code, b.rows(t))
		}
	}
}

// snsServer is the server of SNS: its certificate, and what was fetched from it.
type snsServer struct {
	key     *rsa.PrivateKey
	pem     []byte
	fetched []string
	down    bool
}

func newSNS(t testing.TB) *snsServer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &snsServer{key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	was := snsKeys.fetch
	snsKeys.fetch = func(address string) ([]byte, error) {
		if s.fetched = append(s.fetched, address); s.down {
			return nil, fmt.Errorf("down")
		}
		return s.pem, nil
	}
	t.Cleanup(func() { snsKeys.fetch, snsKeys.known = was, nil })
	return s
}

const certURL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem"

// signed is a message as SNS sends it.
func (s *snsServer) signed(t testing.TB, m snsMessage) []byte {
	t.Helper()
	var signature []byte
	var err error
	if m.SignatureVersion == "1" {
		hash := sha1.Sum([]byte(m.signed())) //nolint:gosec // as above
		signature, err = rsa.SignPKCS1v15(nil, s.key, crypto.SHA1, hash[:])
	} else {
		hash := sha256.Sum256([]byte(m.signed()))
		signature, err = rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, hash[:])
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Signature = base64.StdEncoding.EncodeToString(signature)
	body, err := json.Marshal(map[string]string{"Type": m.Type, "MessageId": m.MessageID, "TopicArn": m.TopicArn,
		"Subject": m.Subject, "Message": m.Message, "Timestamp": m.Timestamp, "Token": m.Token,
		"SubscribeURL": m.SubscribeURL, "SigningCertURL": m.SigningCertURL, "SignatureVersion": m.SignatureVersion,
		"Signature": m.Signature})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The text that is signed, written by hand from SNS' documentation.
func TestSNSSignedText(t *testing.T) {
	m := snsMessage{Type: "Notification", MessageID: "id", TopicArn: "arn", Subject: "s", Message: "m", Timestamp: "t"}
	if want := "Message\nm\nMessageId\nid\nSubject\ns\nTimestamp\nt\nTopicArn\narn\n" +
		"Type\nNotification\n"; m.signed() != want {
		t.Errorf("%q", m.signed())
	}
	m.Type, m.Subject, m.SubscribeURL, m.Token = "SubscriptionConfirmation", "", "u", "k"
	if want := "Message\nm\nMessageId\nid\nSubscribeURL\nu\nTimestamp\nt\nToken\nk\nTopicArn\narn\n" +
		"Type\nSubscriptionConfirmation\n"; m.signed() != want {
		t.Errorf("%q", m.signed())
	}
}

func TestSESDeliveries(t *testing.T) {
	server, stranger := newSNS(t), newSNS(t)
	snsKeys.fetch = func(address string) ([]byte, error) {
		if server.fetched = append(server.fetched, address); server.down {
			return nil, fmt.Errorf("down")
		}
		return server.pem, nil
	}
	good := snsMessage{Type: "Notification", MessageID: "sns_1", TopicArn: topics[0], Subject: "Amazon SES",
		Message: `{"eventType":"Bounce","mail":{"messageId":"m"}}`, Timestamp: "2026-01-12T09:00:00.000Z",
		SigningCertURL: certURL, SignatureVersion: "2"}
	with := func(change func(*snsMessage)) []byte {
		m := good
		change(&m)
		return server.signed(t, m)
	}
	sns := http.Header{"X-Amz-Sns-Message-Type": {"Notification"}}
	accept := func(name, typ string, change func(*snsMessage)) deliveryCase {
		body := with(change)
		return deliveryCase{name: name, header: sns, body: body, code: 200, what: "accepted",
			rows: mailRow(SES, "sns_1", typ, now.Add(-time.Hour), body)}
	}
	refused := func(name, what string, change func(*snsMessage)) deliveryCase {
		return deliveryCase{name: name, header: sns, body: with(change), code: 400, what: what}
	}
	confirm := func(url string) func(*snsMessage) {
		return func(m *snsMessage) {
			m.Type, m.Subject, m.Token, m.SubscribeURL = "SubscriptionConfirmation", "", "token", url
		}
	}
	const confirmURL = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=token"
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	twice := accept("twice", "Bounce", func(*snsMessage) {})
	twice.times, twice.what = 2, "duplicate"
	tampered := with(func(*snsMessage) {})
	b.runAll(t, SES, []deliveryCase{
		accept("version 2", "Bounce", func(*snsMessage) {}), twice,
		accept("version 1", "Bounce", func(m *snsMessage) { m.SignatureVersion = "1" }),
		accept("as identities notify", "Complaint",
			func(m *snsMessage) { m.Message = `{"notificationType":"Complaint"}` }),
		accept("no subject, no JSON", "Notification", func(m *snsMessage) {
			m.Subject, m.Message = "",
				"Successfully validated"
		}),
		accept("subscription", "SubscriptionConfirmation", confirm(confirmURL)),
		refused("another topic", invalidSignature, func(m *snsMessage) { m.TopicArn = topics[2] }),
		refused("version 3", invalidSignature, func(m *snsMessage) { m.SignatureVersion = "3" }),
		refused("certificate elsewhere", invalidSignature,
			func(m *snsMessage) { m.SigningCertURL = "https://evil.example/x.pem" }),
		refused("certificate in another region", invalidSignature, func(m *snsMessage) {
			m.SigningCertURL = strings.Replace(certURL, "eu-central-1", "us-east-1", 1)
		}),
		refused("certificate over http", invalidSignature, func(m *snsMessage) {
			m.SigningCertURL = strings.Replace(certURL, "https", "http", 1)
		}),
		refused("certificate, with a name", invalidSignature, func(m *snsMessage) {
			m.SigningCertURL = strings.Replace(certURL, "https://", "https://x@", 1)
		}),
		refused("certificate of a bucket", invalidSignature, func(m *snsMessage) {
			m.SigningCertURL = "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem"
		}),
		refused("subscription elsewhere", invalidField, confirm("https://evil.example/?Action=ConfirmSubscription")),
		{name: "a stranger's key", header: sns, body: stranger.signed(t, good), code: 400, what: invalidSignature},
		{name: "tampered", header: sns, body: []byte(strings.Replace(string(tampered), "Bounce", "Bonuce", 1)), code: 400,
			what: invalidSignature},
		{name: "unsigned", header: sns, body: []byte(`{"eventType":"Bounce"}`), code: 400, what: missingSignature},
		{name: "not of SNS", header: http.Header{}, body: tampered, code: 400, what: missingSignature},
	})
	if n := len(server.fetched); n != 2 || !slices.Contains(server.fetched, confirmURL) {
		t.Errorf("fetched %d: %q", n, server.fetched)
	}
	server.down, snsKeys.known = true, nil
	b.empty(t)
	if got := b.send(t, "POST", "/webhooks/ses", sns, tampered); got.code != 503 || len(b.rows(t)) > 0 {
		t.Errorf("without the certificate: %d %v", got.code, b.rows(t))
	}
}

// Credentials that let everyone in stop the start.
func TestMailSecrets(t *testing.T) {
	for _, c := range []struct{ source, list, want string }{
		{Postmark, passwords[0], ""}, {Mailgun, passwords[0], ""}, {Resend, svixSecrets[0], ""}, {SES, topics[0], ""},
		{Postmark, "short", "POSTMARK_WEBHOOK_SECRETS: secret 1: is too short"},
		{Postmark, passwords[0] + ",", "POSTMARK_WEBHOOK_SECRETS: secret 2: is empty"},
		{Mailgun, ",", "MAILGUN_WEBHOOK_KEYS: secret 1: is empty"},
		{Resend, "whsec_", "RESEND_WEBHOOK_SECRETS: secret 1: is too short"},
		{SES, "mail", "SES_SNS_TOPICS: secret 1: is not a topic's ARN"},
		{SES, "arn:aws:sns:*:123456789012:mail", "SES_SNS_TOPICS: secret 1: is not a topic's ARN"},
	} {
		_, err := ParseSecrets(c.source, c.list)
		if got := fmt.Sprint(err); (c.want == "") != (err == nil) || !strings.Contains(got, c.want) {
			t.Errorf("%s %q: %v", c.source, c.list, err)
		}
	}
}
