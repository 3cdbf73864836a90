package watch

// Refusal explains why deliveries are rejected.
type Refusal struct {
	Code  string // an outcome of deliveries
	Label string
	Means string // what happened
	Do    string // what ends it
}

const (
	nothingToDo = "Nothing to do here. If it is your sender, its request is broken."
	fixSender   = "Fix the sender, and send the event again under a new id."
)

// Refusals are all reasons, those that a setting fixes first.
var Refusals = []Refusal{
	{badSignature, "Wrong signature", "The signature matches no secret that is set here.",
		"If the sender's dashboard shows failures, set its signing secret and restart serve. " +
			"Otherwise a stranger sent them."},
	{notConfigured, "No secret set", "This server has no signing secret of the sender.",
		"Set the sender's signing secret and restart serve. The sender sends the events again."},
	{missingSignature, "No signature", "The request has no signature headers.",
		"Mostly strangers. If it is your sender, look for a proxy that removes headers."},
	{tooOld, "Signed too long ago", "The signature is more than five minutes old.",
		"Set the clock of this server and of the sender. Old copies of a delivery may be a replay by a stranger."},
	{tooNew, "Signed in the future", "The signature is more than five minutes ahead.",
		"Set the clock of this server and of the sender."},
	{unavailable, "Not stored", "Postgres could not store the event in time.",
		"Check Postgres with rollcall doctor. The sender sends the events again."},
	{"overloaded", "Too many at once", "Too many bodies arrived at the same time.",
		"If it lasts, run more than one serve. The sender sends the events again."},
	{internal, "Error in Rollcall", "Something went wrong while the delivery was received.",
		"Search the log of serve for \"webhook refused\". The sender sends the events again."},
	{incomplete, "Incomplete", "The body ended early, or arrived too slowly.",
		"Check the network and the proxies in front of serve."},
	{"body_too_large", "Too large", "The body is larger than 1 MiB.", fixSender},
	{wrongMethod, "Not a POST", "Webhooks are sent by POST.", nothingToDo},
	{badEncoding, "Invalid text", "The body is signed, but is not UTF-8.", fixSender},
	{badJSON, "Invalid JSON", "The body is signed, but is not JSON.", fixSender},
	{badField, "Invalid field", "The body is signed, but a field has the wrong type or is too long.", fixSender},
	{noID, "No event id", "The delivery is signed, but has no id.", fixSender},
	{noType, "No event type", "The delivery is signed, but has no type.", fixSender},
	{noTime, "No time", "The delivery is signed, but has no time.", fixSender},
	{unstorable, "Cannot be stored", "The database does not take the body.", fixSender},
}

// RefusalOf explains an outcome.
func RefusalOf(code string) Refusal {
	for _, r := range Refusals {
		if r.Code == code {
			return r
		}
	}
	return Refusal{Code: code, Label: code}
}
