package migrations

import "time"

// Impatient lets transactions of clients that are gone end after so long.
func Impatient(after time.Duration) { gone = after }
