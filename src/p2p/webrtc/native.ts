/**
 * WebRTC as libdatachannel's addon offers it, so far as it is used here (node-datachannel 0.33.4). Callbacks come from
 * its own threads, one after the other, in turns of the loop. Objects must be held for as long as they are to live.
 */

import { loadAddon } from '#src/p2p/webrtc/addon.ts'

export interface NativeChannel {
  getId(): number
  isOpen(): boolean
  close(): void
  /**
   * Copies the bytes; false says only that they wait. Throws when the channel is closed, or the peer takes no messages
   * of that size.
   */
  sendMessageBinary(bytes: Uint8Array): boolean
  /** Bytes that the connection has not taken yet. */
  bufferedAmount(): number
  setBufferedAmountLowThreshold(bytes: number): void
  onOpen(callback: () => void): void
  onClosed(callback: () => void): void
  onError(callback: (error: string) => void): void
  onBufferedAmountLow(callback: () => void): void
  onMessage(callback: (message: string | Uint8Array | ArrayBuffer) => void): void
}

export interface ChannelOptions {
  readonly negotiated?: boolean
  readonly id?: number
}

export type NativeState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed'

export interface NativePeer {
  close(): void
  setRemoteDescription(sdp: string, type: 'offer'): void
  setLocalDescription(type: 'answer', credentials: { iceUfrag: string; icePwd: string }): void
  /** Hex with colons, once it is connected. */
  remoteFingerprint(): { readonly value: string; readonly algorithm: string }
  createDataChannel(label: string, options: ChannelOptions): NativeChannel
  onStateChange(callback: (state: NativeState) => void): void
  onIceStateChange(callback: (state: string) => void): void
  onDataChannel(callback: (channel: NativeChannel) => void): void
}

/** A STUN request that no connection knows: who wants to begin one. */
export interface StunRequest {
  /** Whatever the sender says. Used as ICE credentials it must be fit for that, or the addon ends the process. */
  readonly ufrag: string
  readonly host: string
  readonly port: number
}

export interface NativeMux {
  port(): number
  stop(): void
  onUnhandledStunRequest(callback: (request: StunRequest) => void): void
}

export interface NativeWebRtc {
  readonly PeerConnection: new (name: string, config: Readonly<Record<string, unknown>>) => NativePeer
  /** Binds the port; connections of that port share its socket. */
  readonly IceUdpMuxListener: new (
    port: number,
    address: string,
  ) => NativeMux
  initLogger(level: 'None'): void
  setSctpSettings(settings: Readonly<Record<string, number>>): void
}

/** Loads it; rejects with the reason where that cannot be. */
export async function loadWebRtc(): Promise<NativeWebRtc> {
  const addon = (await loadAddon()) as Partial<NativeWebRtc>
  if (addon.PeerConnection === undefined || addon.IceUdpMuxListener === undefined)
    throw new Error('the WebRTC addon is not whole')
  // It writes to standard output by itself, a line for each datagram that it does not like.
  addon.initLogger?.('None')
  addon.setSctpSettings?.({ sendBufferSize: 1024 * 1024, recvBufferSize: 1024 * 1024 })
  return addon as NativeWebRtc
}
