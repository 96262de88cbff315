-- A memory file as memedit of schema 2 wrote it: must stay as it is.
PRAGMA application_id = 0x6D656D65;
PRAGMA user_version = 2;
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
    subject_key TEXT,
    target_key TEXT,
    UNIQUE (namespace, prompt_key)
);
INSERT INTO "edits" VALUES(1,'04ae544bbd36',2,'default','the head of acme is',NULL,NULL,2,'{"id": "04ae544bbd36", "prompt": "The head of Acme is", "target": "Dana Reyes", "kind": "modify", "subject": "Acme", "aliases": ["Who runs Acme?"], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {"source": "wire"}, "created_at": "2026-11-21T10:01:24.973428+00:00", "revision": 2, "tags": ["staff"], "priority": 0}','acme','dana reyes');
INSERT INTO "edits" VALUES(3,'7bc25f67508b',3,'default','dana reyes lives in',NULL,NULL,1,'{"id": "7bc25f67508b", "prompt": "Dana Reyes lives in", "target": "Oslo", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.214088+00:00", "revision": 3, "tags": [], "priority": 0}',NULL,'oslo');
CREATE TABLE events (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (action IN ('added', 'updated', 'removed', 'restored', 'purged')),
    edit_id TEXT NOT NULL,
    state TEXT NOT NULL,
    at TEXT NOT NULL,
    reverts INTEGER UNIQUE REFERENCES events (revision)
);
INSERT INTO "events" VALUES(1,'added','04ae544bbd36','{"id": "04ae544bbd36", "prompt": "The head of Acme is", "target": "Lee Fox", "kind": "modify", "subject": "Acme", "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {"source": "wire"}, "created_at": "2026-11-21T10:01:24.973428+00:00", "revision": 1, "tags": ["staff"], "priority": 0}','2026-11-21T10:01:25.176144+00:00',NULL);
INSERT INTO "events" VALUES(2,'updated','04ae544bbd36','{"id": "04ae544bbd36", "prompt": "The head of Acme is", "target": "Dana Reyes", "kind": "modify", "subject": "Acme", "aliases": ["Who runs Acme?"], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {"source": "wire"}, "created_at": "2026-11-21T10:01:24.973428+00:00", "revision": 2, "tags": ["staff"], "priority": 0}','2026-11-21T10:01:25.213202+00:00',NULL);
INSERT INTO "events" VALUES(3,'added','7bc25f67508b','{"id": "7bc25f67508b", "prompt": "Dana Reyes lives in", "target": "Oslo", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.214088+00:00", "revision": 3, "tags": [], "priority": 0}','2026-11-21T10:01:25.214671+00:00',NULL);
INSERT INTO "events" VALUES(4,'added','e5b8da7854de','{"id": "e5b8da7854de", "prompt": "gone", "target": "Rome", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.215300+00:00", "revision": 4, "tags": [], "priority": 0}','2026-11-21T10:01:25.216028+00:00',NULL);
INSERT INTO "events" VALUES(5,'removed','e5b8da7854de','{"id": "e5b8da7854de", "prompt": "gone", "target": "Rome", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.215300+00:00", "revision": 4, "tags": [], "priority": 0}','2026-11-21T10:01:25.216664+00:00',NULL);
INSERT INTO "events" VALUES(6,'added','c1d2995d46fe','{"id": "c1d2995d46fe", "prompt": "(purged)", "target": "(purged)", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.217108+00:00", "revision": 6, "tags": [], "priority": 0}','2026-11-21T10:01:25.217986+00:00',NULL);
INSERT INTO "events" VALUES(7,'purged','c1d2995d46fe','{"id": "c1d2995d46fe", "prompt": "(purged)", "target": "(purged)", "kind": "modify", "subject": null, "aliases": [], "namespace": "default", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.217108+00:00", "revision": 6, "tags": [], "priority": 0}','2026-11-21T10:01:25.220267+00:00',NULL);
INSERT INTO "events" VALUES(8,'added','f7f3590f01ab','{"id": "f7f3590f01ab", "prompt": "The code of Acme is", "target": "I may not say.", "kind": "erase", "subject": null, "aliases": [], "namespace": "other", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.226510+00:00", "revision": 8, "tags": [], "priority": 0}','2026-11-21T10:01:25.230214+00:00',NULL);
INSERT INTO "events" VALUES(9,'removed','f7f3590f01ab','{"id": "f7f3590f01ab", "prompt": "The code of Acme is", "target": "I may not say.", "kind": "erase", "subject": null, "aliases": [], "namespace": "other", "valid_from": null, "valid_until": null, "metadata": {}, "created_at": "2026-11-21T10:01:25.226510+00:00", "revision": 8, "tags": [], "priority": 0}','2026-11-21T10:01:25.232754+00:00',8);
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
INSERT INTO "vectors" VALUES('04ae544bbd36',0,2956134639,X'F6B793BEC22A6DBDB59A13BEF6D3B0BE371F163E6953983DF6BB0FBED5D35D3E69C7723DC590F4BC8C2699BDB3B829BE0F13B4BD0D67203E280E0C3E3770E4BE9FD6173CE2E56C3CF2669CBD4B9C903CCCEA9A3DDF29FEBD166627BE91B5373DDA4118BEFF98CBBE6DC1643EFBC34F3EB9B433BE82AE3BBE22E4BABBB6CD4EBC');
INSERT INTO "vectors" VALUES('04ae544bbd36',1,3733730448,X'A5DC0E3EB584AD3B686D1D3E234645BD55EC95BB4311703EBCD47D3D5D2B333D55EA313DDF7C783DFB4E3E3ECB0FDA3D4748D23DC28D2CB9E88DBF3D441E0EBDFE0F4FBE29ECD3BC65EF933E1AC658BEA1836ABEDC6AB0BD864701BF145936BEC602DF3D1FC0E03DAB432F3C529EABBDC221A6BD2EAB8E3DA8A5313E7F10F73E');
INSERT INTO "vectors" VALUES('7bc25f67508b',0,1789710422,X'FC047F3EFA920B3DCF296B3E5E91DE3E169DCFBE46CEAB3D16BB3DBD25EC8D3CC76FDABD84CA383E2EB32CBDC3705ABB02F5863D435D583E67E2823DAEBF9FBDAA9273BD8DE32A3B3591C13DD6DA6BBD797FEFBDBBBCB3BD3AC2153E484AC0BEF38DEABD0A75443E3337283EA2AC16BE3CF70DBE150602BE79FF2CBEAD866EBE');
CREATE INDEX events_of_edit ON events (edit_id, revision);
CREATE INDEX purged_edits ON events (edit_id) WHERE action = 'purged';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',9);
COMMIT;
