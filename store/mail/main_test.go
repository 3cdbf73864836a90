package mail_test

import (
	"testing"

	"rollcall/internal/testing/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }
