-- A memory file as memedit of schema 1 wrote it: must stay as it is.
PRAGMA application_id = 0x6D656D65;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
BEGIN TRANSACTION;
CREATE TABLE edits (
    ordinal INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    prompt_key TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    wordings INTEGER NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (namespace, prompt_key)
);
INSERT INTO "edits" VALUES(1,'one',2,'default','the head of acme is',NULL,NULL,1,'{"id": "one", "prompt": "The head of Acme is", "target": "Dana Reyes", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 2}');
INSERT INTO "edits" VALUES(3,'two',3,'default','dana reyes lives in',NULL,NULL,2,'{"id": "two", "prompt": "Dana Reyes lives in", "target": "Oslo", "kind": "modify", "subject": "Dana Reyes", "aliases": ["Home of Dana"], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 3}');
INSERT INTO "edits" VALUES(6,'four',6,'default','the code',NULL,NULL,1,'{"id": "four", "prompt": "The code of Acme is", "target": "Dana Reyes", "kind": "erase", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 6}');
CREATE TABLE events (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (action IN ('added', 'updated', 'removed', 'restored')),
    edit_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reverts INTEGER UNIQUE REFERENCES events (revision)
);
INSERT INTO "events" VALUES(1,'added','one','{"id": "one", "prompt": "The head of Acme is", "target": "Lee Fox", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 1}','2026-01-31T12:00:00+00:00',NULL);
INSERT INTO "events" VALUES(2,'updated','one','{"id": "one", "prompt": "The head of Acme is", "target": "Dana Reyes", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 2}','2026-01-31T12:00:00+00:00',NULL);
INSERT INTO "events" VALUES(3,'added','two','{"id": "two", "prompt": "Dana Reyes lives in", "target": "Oslo", "kind": "modify", "subject": "Dana Reyes", "aliases": ["Home of Dana"], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 3}','2026-01-31T12:00:00+00:00',NULL);
INSERT INTO "events" VALUES(4,'added','three','{"id": "three", "prompt": "gone", "target": "Dana Reyes", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 4}','2026-01-31T12:00:00+00:00',NULL);
INSERT INTO "events" VALUES(5,'removed','three','{"id": "three", "prompt": "gone", "target": "Dana Reyes", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 4}','2026-01-31T12:00:00+00:00',NULL);
INSERT INTO "events" VALUES(6,'added','four','{"id": "four", "prompt": "The code of Acme is", "target": "Dana Reyes", "kind": "erase", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-01-31T12:00:00+00:00", "revision": 6}','2026-01-31T12:00:00+00:00',NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL);
INSERT INTO "meta" VALUES('encoder_id','hashing-32');
INSERT INTO "meta" VALUES('encoder_dimension',32);
CREATE TABLE vectors (
    edit_id TEXT NOT NULL,
    wording INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (edit_id, wording)
);
INSERT INTO "vectors" VALUES('one',0,2956134639,X'F6B793BEC22A6DBDB59A13BEF6D3B0BE371F163E6953983DF6BB0FBED5D35D3E69C7723DC590F4BC8C2699BDB3B829BE0F13B4BD0D67203E280E0C3E3770E4BE9FD6173CE2E56C3CF2669CBD4B9C903CCCEA9A3DDF29FEBD166627BE91B5373DDA4118BEFF98CBBE6DC1643EFBC34F3EB9B433BE82AE3BBE22E4BABBB6CD4EBC');
INSERT INTO "vectors" VALUES('two',0,1789710422,X'FC047F3EFA920B3DCF296B3E5E91DE3E169DCFBE46CEAB3D16BB3DBD25EC8D3CC76FDABD84CA383E2EB32CBDC3705ABB02F5863D435D583E67E2823DAEBF9FBDAA9273BD8DE32A3B3591C13DD6DA6BBD797FEFBDBBBCB3BD3AC2153E484AC0BEF38DEABD0A75443E3337283EA2AC16BE3CF70DBE150602BE79FF2CBEAD866EBE');
INSERT INTO "vectors" VALUES('two',1,121479207,X'D2830DBE8832F5BD745E92BE7FBB633E65CD1DBEAD45EABD6EC52BBD5D978BBDF0DB503D132533BDFD8EA9BEF4E0B13C443FBA3D099FB93EAFF17E3DCCCA863C60237ABDBE58183E867F0EBE47A7D9BED78D293E51DD6C3E7EAF933ECC52C43BD0D6C0BD1FB5973D971E1BBD39A4963E090B213C332F8C3B54DBC0BD05BD373E');
INSERT INTO "vectors" VALUES('four',0,931841808,X'DEC599BEA822BE3CB278A1BD42FE46BE06193CBC604733BE4A571D3D2EA94F3EBD75CEBC4BF8A4BD091E5C3DCB2754BEEA6A4FBE5C617D3DB3DB03BDA8D2D9BEAA59263E7A5F103D94BA45BE2BA43F3DCC2F5A3DAB6B97BE061AD93DC1E4193EBEF70F3DAFF55BBE71716F3ED559623E99B58EBE6AF83BBEF4B9F1BDE544583E');
CREATE INDEX events_of_edit ON events (edit_id, revision);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',6);
COMMIT;
