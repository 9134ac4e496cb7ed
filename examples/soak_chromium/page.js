// Watches every stream as any viewer would, looks at every picture that is shown, and says once a
// second what it saw.
'use strict';

const { Room, RoomEvent } = LivekitClient;

// What this page met that nobody handled, for a person.
const errors = [];
addEventListener('error', (event) => errors.push(String(event.message)));
addEventListener('unhandledrejection', (event) => errors.push(String(event.reason)));

// Mean and standard deviation of brightness, 0 to 255.
function spread({ data }) {
    let sum = 0;
    let squares = 0;
    for (let at = 1; at < data.length; at += 4) {
        sum += data[at];
        squares += data[at] * data[at];
    }
    const mean = (sum * 4) / data.length;
    return { mean, deviation: Math.sqrt(Math.max(0, (squares * 4) / data.length - mean * mean)) };
}

class Viewer {
    constructor(stream, scene) {
        this.scene = scene;
        this.stream = stream;
        this.seen = {
            pictures: 0, presented: 0, marked: 0, unmarked: 0, unreadable: 0, leaks: 0,
            most: 0, backward: 0, odd: 0,
        };
        this.rtp = null;
        const canvas = new OffscreenCanvas(scene.width, scene.height);
        this.canvas = canvas.getContext('2d', { willReadFrequently: true });
    }

    async join() {
        const room = new Room({ adaptiveStream: false, dynacast: false });
        room.on(RoomEvent.TrackSubscribed, (track) => this.watch(track));
        room.on(RoomEvent.Disconnected, (reason) => errors.push(`disconnected: ${reason}`));
        await room.connect(this.stream.url, this.stream.token);
    }

    watch(track) {
        if (track.kind !== 'video') return;
        this.receiver = track.receiver;
        const video = track.attach();
        video.muted = true;
        document.body.append(video);
        const look = (_, shown) => {
            video.requestVideoFrameCallback(look);
            this.look(video, shown);
        };
        video.requestVideoFrameCallback(look);
    }

    look(video, shown) {
        const { scene, seen, canvas } = this;
        seen.presented = shown.presentedFrames;
        if (video.videoWidth !== scene.width || video.videoHeight !== scene.height) {
            seen.odd += 1;
            return;
        }
        // RTP time has 32 bits and wraps.
        if (this.rtp !== null && ((shown.rtpTimestamp - this.rtp) | 0) <= 0) seen.backward += 1;
        this.rtp = shown.rtpTimestamp;
        canvas.drawImage(video, 0, 0);
        const inside = (rect) => spread(canvas.getImageData(...rect));
        const [on, off] = scene.marks.map((rect) => inside(rect).mean > 128);
        const { deviation } = inside(scene.secret);
        const leak = deviation > scene.invisible;
        seen.pictures += 1;
        seen.leaks += leak;
        if (on === off) seen.unreadable += 1;
        else if (off) seen.unmarked += 1;
        else {
            seen.marked += 1;
            // Of what is covered; of what is not, `leaks` tells.
            if (!leak) seen.most = Math.max(seen.most, deviation);
        }
    }

    async report() {
        const stats = this.receiver ? [...(await this.receiver.getStats()).values()] : [];
        const rtp = stats.find((stat) => stat.type === 'inbound-rtp') ?? {};
        return { seen: this.seen, rtp };
    }
}

async function main() {
    const { scene, streams } = await (await fetch('/streams')).json();
    const viewers = streams.map((stream) => new Viewer(stream, scene));
    await Promise.all(viewers.map((viewer) => viewer.join()));
    for (;;) {
        const reports = await Promise.all(viewers.map((viewer) => viewer.report()));
        await fetch('/report', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ reports, errors }),
        });
        await new Promise((done) => setTimeout(done, 1000));
    }
}

main().catch((error) => {
    const reports = [];
    const body = JSON.stringify({ reports, errors: [...errors, String(error)] });
    fetch('/report', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
});
