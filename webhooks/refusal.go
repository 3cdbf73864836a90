package webhooks

import (
	"fmt"
	"net/http"

	"rollcall/store"
)

// How an accepted event is described to its sender.
const (
	accepted  = store.Accepted
	duplicate = store.Duplicate
)

// The error codes that senders see.
const (
	unknownSource    = "unknown_source"
	methodNotAllowed = "method_not_allowed"
	notConfigured    = "not_configured"
	incompleteBody   = "incomplete_body"
	bodyTooLarge     = "body_too_large"
	missingSignature = "missing_signature"
	invalidSignature = store.BadSignature
	timestampTooOld  = "timestamp_too_old"
	timestampTooNew  = "timestamp_too_new"
	invalidEncoding  = "invalid_encoding"
	invalidJSON      = "invalid_json"
	invalidField     = "invalid_field"
	missingID        = "missing_id"
	missingType      = "missing_type"
	missingTimestamp = "missing_timestamp"
	unstorable       = "unstorable"
	unavailable      = "unavailable"
	overloaded       = "overloaded"
	internal         = "internal"
)

// answers maps each code to the HTTP status and to the label of the metric. Codes that look alike on
// a graph share a label.
var answers = map[string]struct {
	status int
	result string
}{
	accepted:         {http.StatusOK, accepted},
	duplicate:        {http.StatusOK, duplicate},
	unknownSource:    {http.StatusNotFound, "bad_request"},
	methodNotAllowed: {http.StatusMethodNotAllowed, "bad_request"},
	notConfigured:    {http.StatusServiceUnavailable, notConfigured},
	incompleteBody:   {http.StatusBadRequest, "bad_body"},
	bodyTooLarge:     {http.StatusRequestEntityTooLarge, "too_large"},
	missingSignature: {http.StatusBadRequest, "bad_signature"},
	invalidSignature: {http.StatusBadRequest, "bad_signature"},
	timestampTooOld:  {http.StatusBadRequest, "stale"},
	timestampTooNew:  {http.StatusBadRequest, "stale"},
	invalidEncoding:  {http.StatusBadRequest, "bad_body"},
	invalidJSON:      {http.StatusBadRequest, "bad_body"},
	invalidField:     {http.StatusBadRequest, "bad_body"},
	missingID:        {http.StatusBadRequest, "bad_body"},
	missingType:      {http.StatusBadRequest, "bad_body"},
	missingTimestamp: {http.StatusBadRequest, "bad_body"},
	unstorable:       {http.StatusBadRequest, "bad_body"},
	unavailable:      {http.StatusServiceUnavailable, unavailable},
	overloaded:       {http.StatusServiceUnavailable, overloaded},
	internal:         {http.StatusInternalServerError, "error"},
}

// refusal explains to the sender why a delivery was not accepted.
type refusal struct {
	Code    string `json:"code"`    // a key of answers
	Message string `json:"message"` // what happened and what to do; must not be confidential
	cause   error  // for the log only; may be nil
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return r.Message + ": " + r.cause.Error()
	}
	return r.Message
}

func (r *refusal) Unwrap() error { return r.cause }

func refuse(code, format string, args ...any) error {
	return &refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
