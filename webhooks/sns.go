package webhooks

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // version 1 of SNS' signatures
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"rollcall/store"
)

// SES reports by SNS, which signs with a certificate that is on a server of SNS in the topic's
// region (docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html). Anyone may have
// SNS sign messages of a topic of their own, so only the topics in SES_SNS_TOPICS count.

// snsMessage is a message of SNS.
type snsMessage struct {
	Type, MessageID, TopicArn, Subject, Message, Timestamp, Token string
	SubscribeURL, SigningCertURL, SignatureVersion, Signature     string
}

var topicArn = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}$`)

// checkTopic requires the ARN of a topic.
func checkTopic(secret string) error {
	if !topicArn.MatchString(secret) {
		return errors.New("is not a topic's ARN, as arn:aws:sns:eu-central-1:123456789012:mail")
	}
	return nil
}

// checkSNS refuses what SNS does not send.
func checkSNS(header http.Header, _ time.Time) error {
	if header.Get("X-Amz-Sns-Message-Type") == "" {
		return refuse(missingSignature,
			"this is not a message of SNS: subscribe this address to a topic of SES_SNS_TOPICS")
	}
	return nil
}

func verifySNS(topics []Secret, _ http.Header, body []byte) error {
	var m snsMessage
	if json.Unmarshal(body, &m) != nil || m.Signature == "" {
		return refuse(missingSignature, "the body has no signature of SNS; is raw message delivery on? Turn it off")
	}
	known := false
	for _, topic := range topics {
		known = known || topic.value == m.TopicArn
	}
	if !known {
		return refuse(invalidSignature, "the topic %q is not in SES_SNS_TOPICS", clip(m.TopicArn))
	}
	key, err := snsKeys.of(m)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || !m.signedBy(key, signature) {
		return refuse(invalidSignature, "the signature of SNS does not fit the message: does a proxy change the body?")
	}
	return nil
}

// signed is the text that SNS signs.
func (m snsMessage) signed() string {
	fields := []string{"Message", m.Message, "MessageId", m.MessageID}
	if m.Type == "Notification" {
		if m.Subject != "" {
			fields = append(fields, "Subject", m.Subject)
		}
	} else {
		fields = append(fields, "SubscribeURL", m.SubscribeURL)
	}
	fields = append(fields, "Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		fields = append(fields, "Token", m.Token)
	}
	return strings.Join(append(fields, "TopicArn", m.TopicArn, "Type", m.Type), "\n") + "\n"
}

func (m snsMessage) signedBy(key *rsa.PublicKey, signature []byte) bool {
	switch m.SignatureVersion {
	case "1":
		hash := sha1.Sum([]byte(m.signed())) //nolint:gosec // as above
		return rsa.VerifyPKCS1v15(key, crypto.SHA1, hash[:], signature) == nil
	case "2":
		hash := sha256.Sum256([]byte(m.signed()))
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
	}
	return false
}

// ofSNS tells whether an address is on the server of SNS in the topic's region.
func (m snsMessage) ofSNS(address string) bool {
	arn, u := topicArn.FindStringSubmatch(m.TopicArn), (*url.URL)(nil)
	if parsed, err := url.Parse(address); err == nil {
		u = parsed
	}
	if arn == nil || u == nil || u.Scheme != "https" || u.User != nil {
		return false
	}
	server := "sns." + arn[1] + ".amazonaws.com"
	return u.Host == server || strings.HasPrefix(arn[1], "cn-") && u.Host == server+".cn"
}

// snsKeys are the keys of certificates that were fetched.
var snsKeys = snsCertificates{fetch: fetchFromSNS}

// snsCertificates fetches each certificate once. Safe for concurrent use.
type snsCertificates struct {
	fetch func(address string) ([]byte, error)
	mu    sync.Mutex
	known map[string]*rsa.PublicKey
}

const (
	mostCertificates = 16
	snsTimeout       = 5 * time.Second
	maxCertificate   = 64 << 10
)

// of returns the key of a message's certificate.
func (c *snsCertificates) of(m snsMessage) (*rsa.PublicKey, error) {
	if !m.ofSNS(m.SigningCertURL) || !strings.HasSuffix(m.SigningCertURL, ".pem") {
		return nil, refuse(invalidSignature, "the certificate is not on the server of SNS in the topic's region")
	}
	c.mu.Lock()
	defer c.mu.Unlock() // the first of many deliveries fetches it
	if key := c.known[m.SigningCertURL]; key != nil {
		return key, nil
	}
	text, err := c.fetch(m.SigningCertURL)
	if err != nil {
		return nil, &refusal{unavailable, "the certificate of SNS could not be read: send the message again", err}
	}
	key, err := keyOf(text)
	if err != nil {
		return nil, &refusal{invalidSignature, "the certificate of SNS is none", err}
	}
	if c.known == nil || len(c.known) >= mostCertificates {
		c.known = map[string]*rsa.PublicKey{}
	}
	c.known[m.SigningCertURL] = key
	return key, nil
}

func keyOf(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("no RSA key")
	}
	return key, nil
}

// snsClient follows no redirects: they could lead elsewhere.
var snsClient = &http.Client{Timeout: snsTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

func fetchFromSNS(address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := snsClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxCertificate))
}

// readSNS names an event by the kind of SES' report, or of SNS' own message. A subscription of a
// topic that is configured is confirmed here, before the answer: if that fails, SNS asks again.
func readSNS(_ http.Header, body []byte, now time.Time) (store.NewEvent, error) {
	var m snsMessage
	if err := decode(body, &m); err != nil {
		return store.NewEvent{}, err
	}
	typ := m.Type
	var report struct{ EventType, NotificationType string }
	if m.Type == "Notification" && json.Unmarshal([]byte(m.Message), &report) == nil {
		for _, kind := range []string{report.NotificationType, report.EventType} {
			if kind != "" {
				typ = kind
			}
		}
	}
	if m.Type == "SubscriptionConfirmation" {
		if !m.ofSNS(m.SubscribeURL) {
			return store.NewEvent{}, refuse(invalidField, `the body's "SubscribeURL" is not on the server of SNS`)
		}
		if _, err := snsKeys.fetch(m.SubscribeURL); err != nil {
			return store.NewEvent{}, &refusal{unavailable,
				"the subscription could not be confirmed: send the message again", err}
		}
	}
	at, err := time.Parse(time.RFC3339, m.Timestamp)
	if err != nil {
		at = now
	}
	return mailEvent(m.MessageID, `the body's "MessageId"`, typ, at, body, now)
}
